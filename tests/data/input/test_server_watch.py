"""A process whose input server is lost ends with one line."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

PROGRAM = """
import sys, time
from official_vision.data.input.server_watch import watch_servers

watch_servers([sys.argv[1]], limit_sec=1.0)
print("watching", flush=True)
time.sleep(60)
"""


def test_it_ends_when_the_server_is_gone_and_not_before():
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "watching\n"
    time.sleep(2.5)
    assert process.poll() is None
    listener.close()
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    (line,) = stderr.splitlines()
    assert line.startswith("error: A run needs all of its input servers. Received: nothing from ")
    assert address in line
