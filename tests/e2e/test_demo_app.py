"""tools/demo_app.py as a user runs it."""

import signal
import socket
import time
import urllib.request

import pytest

from tests import commands
from tests.commands import ENVIRONMENT
from tests.serving import exports


def test_mistakes_are_reported_before_anything_starts(tmp_path):
    assert "--model must be set" in commands.refusal("demo_app")
    assert f"Received: {tmp_path}, which is none" in commands.refusal(
        "demo_app", f"--model={tmp_path}"
    )


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
    process = commands.start(
        "demo_app",
        f"--model={model}",
        f"--port={port}",
        env={**ENVIRONMENT, "TMPDIR": str(tmp_path / "uploads")},
    )
    shown = f"demo at http://127.0.0.1:{port}/ (Ctrl-C ends it)\n"
    try:
        deadline = time.monotonic() + 200
        while process.printed("stdout") != shown:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/", timeout=20) as page:
            assert b"What happens in a video" in page.read()
        assert list((tmp_path / "uploads").iterdir())
        if ended_by == signal.SIGINT:
            busy = commands.refusal("demo_app", f"--model={model}", f"--port={port}")
            assert f"--port must be free. Received: {port}" in busy
        process.send_signal(ended_by)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    ended = f"{shown}ended; uploads and results are deleted\n"
    assert (process.returncode, stdout) == (0, ended), stderr
    assert stderr == ""
    assert list((tmp_path / "uploads").glob("official-vision-demo-*")) == []
