"""The command official-vision for shells of a test: a program that has tests.commands run it, seconds sooner."""

from __future__ import annotations

import contextlib
import json
import os
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from official_vision.commands.main import COMMANDS
from tests import commands

# Command -> file in tools/, where their names differ.
_TOOLS = {"prepare": "prepare_data", "inspect": "inspect_network", "demo": "demo_app"}
_PROGRAM = """#!{python} -S
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({address!r})
    request = {{"words": sys.argv[1:], "cwd": os.getcwd(), "environment": dict(os.environ)}}
    connection.sendall(json.dumps(request).encode() + b"\\n")
    done = json.loads(connection.makefile().readline())
sys.stdout.write(done["stdout"])
sys.stderr.write(done["stderr"])
sys.exit(done["returncode"])
"""


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        request = json.loads(self.rfile.readline())
        command, *flags = request["words"]
        assert command in COMMANDS, command
        tool = _TOOLS.get(command, command.replace("-", "_"))
        done = commands.run(tool, *flags, cwd=request["cwd"], env=request["environment"])
        result = {name: getattr(done, name) for name in ("stdout", "stderr", "returncode")}
        self.wfile.write(json.dumps(result).encode() + b"\n")


@contextlib.contextmanager
def command_on_path(folder: Path) -> Iterator[str]:
    """Yields a PATH on which `official-vision` is the program.

    Args:
      folder: that exists, for the program and its socket.
    """
    address = folder / "socket"
    program = folder / "official-vision"
    program.write_text(_PROGRAM.format(python=sys.executable, address=str(address)))
    program.chmod(0o755)
    with socketserver.UnixStreamServer(str(address), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
        server.shutdown()
