"""Tries an exported network in the browser: demo --model=EXPORT [--port=7860].

Serves a page on this machine alone (127.0.0.1) on which a video can be dropped, and shows the annotated
video, the timeline of its classes and, for a SavedModel of a gated network, which peers opened which
gates. Uploads are bounded in size, length and time of work, and deleted after their prediction. Ctrl-C
ends it. Needs the extra demo: pip install 'official-vision[demo]'.
"""

from __future__ import annotations

import signal
import socket
import threading

from absl import flags

from official_vision import interruption
from official_vision.errors import UserError
from official_vision.serving.export.description import SINGLE_FILES, version_folder

_MODEL = flags.DEFINE_string(
    "model",
    None,
    "Folder that official-vision export wrote (the newest version is taken), or a .tflite, .onnx or .stablehlo file "
    "in it.",
)
_PORT = flags.DEFINE_integer(
    "port",
    None,
    "Port to listen on; by default the first free one from 7860.",
    lower_bound=1,
    upper_bound=65535,
)
_MEGABYTES = flags.DEFINE_integer(
    "megabytes", 200, "Largest upload, in millions of bytes.", lower_bound=1
)
_VIDEO_SEC = flags.DEFINE_float("video_sec", 300.0, "Longest video, in seconds.", lower_bound=0.1)
_WORK_SEC = flags.DEFINE_float(
    "work_sec", 600.0, "Time that one video may take, in seconds.", lower_bound=0.1
)
_KEEP_SEC = flags.DEFINE_float(
    "keep_sec", 900.0, "Age at which results are deleted, in seconds.", lower_bound=1
)


def main() -> None:
    """Serves the page until it is interrupted."""
    if not _MODEL.value:
        raise UserError(
            f"--model must be set. Received: {_MODEL.value!r}. Name an exported folder."
        )
    if not _MODEL.value.endswith(SINGLE_FILES):
        version_folder(_MODEL.value)
    _check_port(_PORT.value)
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.serving.demo.demo_page import serving
    from official_vision.serving.demo.demo_service import Demo, DemoLimits

    limits = DemoLimits(_MEGABYTES.value, _VIDEO_SEC.value, _WORK_SEC.value, _KEEP_SEC.value)
    # As Ctrl-C: visitors' files on the disk are deleted either way.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with serving(Demo(_MODEL.value, limits), _PORT.value) as address:
            print(f"demo at {address} (Ctrl-C ends it)", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        interruption.forget()
        print("ended; uploads and results are deleted")


def _check_port(port: int | None) -> None:
    if port is None:
        return
    with socket.socket() as listener:
        # As the server does: what a server before this one has left does not hold the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                f"--port must be free. Received: {port} ({error.strerror}). "
                "Name another, or none for the next free one."
            ) from error
