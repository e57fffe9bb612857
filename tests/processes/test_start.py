"""Programs and functions in separate processes: their ends, and the messages about them."""

from __future__ import annotations

import os
import signal
import sys

from official_vision.processes.start import run_function, run_script


def leave(status):
    if status < 0:
        os.kill(os.getpid(), -status)
    sys.exit(status)


def test_a_function_ends_with_its_own_status():
    assert run_function(leave, 3) == 3
    assert run_function(leave, -signal.SIGKILL) == -9


def test_a_script_says_why_it_failed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        "assert os.environ['CUDA_VISIBLE_DEVICES'] == '-1'\n"
        "status, text = sys.argv[1:]\n"
        "print('before\\n' * bool(text) + text, file=sys.stderr)\n"
        "sys.exit(int(status)) if int(status) >= 0 else os.abort()\n"
    )
    assert run_script(str(script), ["0", "only a warning"]) == ""
    assert run_script(str(script), ["2", "the last line"]) == "the last line"
    assert run_script(str(script), ["2", ""]) == "exit status 2"
    assert run_script(str(script), ["-1", ""]) == "exit status -6"
