"""Makes training batches for runs on other machines: serve-input [--host=NAME] [--port=5050].

A run names servers in TrainSpec.input_servers; they must see its train/DataSpec.path under the same name, and have
the same version of TensorFlow. Batches and their order are those that the run would make by itself. Every program
that reaches the port can have this machine read its files: use it within a network that you trust. Ctrl-C ends it.
"""

from __future__ import annotations

import signal
import socket
import threading

from absl import flags

from official_vision import interruption

_HOST = flags.DEFINE_string(
    "host",
    None,
    "Name or address by which training machines reach this one; by default its host name.",
)
_PORT = flags.DEFINE_integer(
    "port", 5050, "Port to listen on; 0 takes a free one.", lower_bound=0, upper_bound=65535
)


def main() -> None:
    """Serves until it is interrupted."""
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.data.input.input_servers import InputServer

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = InputServer(_HOST.value or socket.gethostname(), _PORT.value)
    print(f"input server at {server.address} (Ctrl-C ends it); in the run's gin file:", flush=True)
    print(f"TrainSpec.input_servers = ('{server.address}',)", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        interruption.forget()
        print("ended")
