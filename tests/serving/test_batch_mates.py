"""A clip's scores are the same alone and beside any other clip, by every signature of an exported network."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from official_vision.modeling.inference.inference_network import inference_network
from official_vision.serving.export.signatures import ServingModule
from official_vision.specs import DataSpec
from tests.modeling import small
from tests.serving.export.test_request_decoding import changed

FRAMES, SIZE = 4, 32
CLIP = DataSpec(frames=FRAMES, size=SIZE, batch_size=1)


def other_clips():
    """Streams of a clip of little contrast, then of black, white, noisy and ordinary clips."""
    random = np.random.default_rng(0)
    clips = small.clips(5, FRAMES, SIZE)
    clips = {name: values.numpy() for name, values in clips.items()}
    rgb = clips["rgb"]
    rgb[0] = (
        100 + cv2.blur(rgb[0].reshape(FRAMES * SIZE, SIZE, 3), (5, 5)).reshape(rgb[0].shape) // 16
    )
    rgb[1], rgb[2] = 0, 255
    clips["flow"][1:4] *= [[[[[0.0]]]], [[[[1e3]]]], [[[[1.0]]]]]
    clips["objects"][2] = 255
    clips["objects"][3] = random.integers(0, 256, clips["objects"][3].shape)
    return clips


def pngs(rgb):
    return np.array([[cv2.imencode(".png", x[..., ::-1])[1].tobytes() for x in c] for c in rgb])


@pytest.fixture(scope="module")
def record(split):
    (content,) = tf.data.TFRecordDataset(str(next(split.glob("*.tfrecord"))))
    return content.numpy()


def records(record, rgb):
    """Records whose frames are those of the clips, over and over."""

    def shown(clip):
        return lambda stored: [
            cv2.imencode(".jpg", clip[n % FRAMES][..., ::-1])[1].tobytes()
            for n in range(len(stored))
        ]

    return np.array([changed(record, "rgb", shown(clip)) for clip in rgb], object)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"flow_source": "computed", "flow_stretch": "batch"}])
def test_alone_and_beside_other_clips(settings, record):
    model = small.network(small.architecture(peers=True), **settings)
    signatures = ServingModule(
        inference_network(model, discrete=False), list("abcde"), [], CLIP, (3,)
    ).signatures()
    clips = other_clips()
    features = {name: clips[name] for name in model.streams}
    requests = {
        "streams": features,
        "gates": features,
        "features": features,
        "serving_default": {"rgb": clips["rgb"]},
        "encoded": {"frames": pngs(clips["rgb"])},
        "sequence_example": {"records": records(record, clips["rgb"])},
        "frame_stems": {"flow": clips["flow"]},
    }
    if "frame_stems" in signatures:
        stems = signatures["frame_stems"]({"flow": tf.constant(clips["flow"])})
        rest = {name: x for name, x in features.items() if name != "flow"}
        requests["from_stems"] = rest | {name: x.numpy() for name, x in stems.items()}
    read = outputs_of(signatures["features"], "features", features)["head"]
    requests["head"] = {"head": read}
    for name, serve in signatures.items():
        request = requests[name]
        alone = outputs_of(serve, name, {key: x[:1] for key, x in request.items()})
        for others in ([0, 1], [0, 2], [0, 3], [0, 4], [0, 1, 2, 3, 4]):
            beside = outputs_of(serve, name, {key: x[others] for key, x in request.items()})
            for key, value in alone.items():
                np.testing.assert_allclose(
                    beside[key][:1], value, atol=1e-5, err_msg=f"{name} {key}"
                )
    scores = outputs_of(signatures["streams"], "streams", features)["scores"]
    assert np.ptp(scores, axis=0).max() > 0.01  # they are not all the same


def outputs_of(serve, name, request):
    """The outputs of a signature for each clip."""
    request = {key: tf.constant(x) for key, x in request.items()}
    arguments = [request] if name not in ("encoded", "sequence_example") else list(request.values())
    outputs = {key: value.numpy() for key, value in serve(*arguments).items()}
    return {key: value for key, value in outputs.items() if key != "labels"}
