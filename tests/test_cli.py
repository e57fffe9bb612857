"""Commands end with one line and a status, never with a traceback for a user's mistake."""

import subprocess
import sys

import pytest

SCRIPT = """
from official_vision import cli
from official_vision.errors import UserError

def main():
    {body}

cli.run(main)
"""


def run(body, *flags):
    command = [sys.executable, "-c", SCRIPT.format(body=body), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_success_is_0():
    assert run("return None").returncode == 0


def test_a_returned_status_is_kept():
    assert run("return 3").returncode == 3


def test_a_mistake_is_one_line_and_1():
    result = run("raise UserError('The rule. Received: x. The remedy.')")
    assert result.returncode == 1
    assert result.stderr == "error: The rule. Received: x. The remedy.\n"


def test_ctrl_c_is_130():
    result = run("raise KeyboardInterrupt")
    assert result.returncode == 130
    assert "Traceback" not in result.stderr


def test_a_defect_keeps_its_traceback():
    result = run("1 / 0")
    assert result.returncode == 1
    assert "ZeroDivisionError" in result.stderr


@pytest.mark.parametrize("flag", ["extra", "--no_such_flag=1"])
def test_a_wrong_argument_is_refused(flag):
    result = run("return None", flag)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_pandas_is_read_when_something_of_it_is_used():
    """Keras imports it; functions' files are looked for in every module."""
    body = """
    import importlib.util, inspect, sys
    import tf_keras
    inspect.getmodule(main)
    assert importlib.util.find_spec("pandas") and "pandas.core" not in sys.modules
    import pandas
    assert pandas.DataFrame({"a": [1, 2]}).shape == (2, 1)
    import pandas.core.frame as frame
    assert sys.modules["pandas"].DataFrame is frame.DataFrame is pandas.DataFrame
"""
    result = run(body.strip())
    assert result.returncode == 0, result.stderr
