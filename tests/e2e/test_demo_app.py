"""tools/demo_app.py as a user runs it."""

import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from tests.commands import ENVIRONMENT, REPOSITORY
from tests.serving import exports

TOOL = [sys.executable, str(REPOSITORY / "tools" / "demo_app.py")]


def error_line(*flags):
    done = subprocess.run(
        [*TOOL, *flags], capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=120
    )
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.strip().splitlines()
    return line


def test_mistakes_are_reported_before_anything_starts(tmp_path):
    assert "--model must be set" in error_line()
    assert f"Received: {tmp_path}, which is none" in error_line(f"--model={tmp_path}")


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_a_page_is_served_until_it_is_ended(tmp_path, ended_by):
    pytest.importorskip("gradio", reason="Gradio is not installed")
    (tmp_path / "model").mkdir()
    (tmp_path / "uploads").mkdir()
    model = exports.save_known_scores(tmp_path / "model")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    process = subprocess.Popen(
        [*TOOL, f"--model={model}", f"--port={port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "TMPDIR": str(tmp_path / "uploads")},
    )
    try:
        line = process.stdout.readline()
        assert line == f"demo at http://127.0.0.1:{port}/ (Ctrl-C ends it)\n", process.stderr.read()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/", timeout=20) as page:
            assert b"What happens in a video" in page.read()
        assert list((tmp_path / "uploads").iterdir())
        if ended_by == signal.SIGINT:
            busy = error_line(f"--model={model}", f"--port={port}")
            assert f"--port must be free. Received: {port}" in busy
        process.send_signal(ended_by)
        left, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, left) == (0, "ended; uploads and results are deleted\n"), stderr
    assert stderr == ""
    assert list((tmp_path / "uploads").glob("official-vision-demo-*")) == []
