"""Checks a running server: serve-check --address=http://HOST:PORT/v1/models/NAME --model=EXPORT --video=FILE.

Sends the video's first clip to a TF Serving or compatible address and compares its scores with those of
the exported file here. Exit status: 0 when they agree, 1 when they do not or the server does not respond.
"""

from __future__ import annotations

from absl import flags

from official_vision.errors import UserError
from official_vision.serving.export.description import SINGLE_FILES, version_folder

_ADDRESS = flags.DEFINE_string(
    "address", None, "http://HOST:PORT/v1/models/NAME, or grpc://HOST:PORT with --model_name."
)
_MODEL = flags.DEFINE_string(
    "model", None, "The folder that official-vision export wrote, as served."
)
_MODEL_NAME = flags.DEFINE_string("model_name", "", "The model's name on a gRPC server.")
_VIDEO = flags.DEFINE_string("video", None, "Video file whose clip is sent.")
_START_SEC = flags.DEFINE_float("start_sec", 0.0, "Where the clip begins.", lower_bound=0)
_LIMIT = flags.DEFINE_float("limit", 1e-4, "Largest difference of a score.", lower_bound=0)
_TIMEOUT_SEC = flags.DEFINE_float("timeout_sec", 60.0, "Time limit of a request.", lower_bound=0.1)


def main() -> None:
    """Runs both and compares."""
    if not (_ADDRESS.value and _MODEL.value and _VIDEO.value):
        raise UserError(
            "--address, --model and --video must be set. Received: "
            f"{_ADDRESS.value!r}, {_MODEL.value!r} and {_VIDEO.value!r}. Name a server, its export and a video."
        )
    if not _MODEL.value.endswith(SINGLE_FILES):
        version_folder(_MODEL.value)
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.serving.export.exported_model import load_exported_model
    from official_vision.serving.predict.serving_client import greatest_difference, server
    from official_vision.serving.predict.video_clips import Feeder

    predict = server(_ADDRESS.value, _TIMEOUT_SEC.value, _MODEL_NAME.value)
    here = load_exported_model(_MODEL.value)
    features = Feeder(here.description).first_clip(_VIDEO.value, _START_SEC.value)
    clip = {name: x.numpy()[None] for name, x in features.items()}
    actual, expected = predict(clip), here(**clip)
    difference = greatest_difference(expected, actual)
    label = here.description.labels[int(actual["scores"][0].argmax())]
    print(f"{_ADDRESS.value} returns {label} ({actual['scores'].max():.3f})")
    if difference > _LIMIT.value:
        raise UserError(
            f"The server must agree with the file, within {_LIMIT.value:g}. "
            f"Received: a difference of {difference:.2e}. Serve the version that --model names."
        )
    print(f"as {here.path} does here: no score differs by more than {difference:.1e}")
