"""Commands end with one line and a status, never with a traceback for a user's mistake."""

import os
import shlex
import subprocess
import sys

import pytest
from absl import flags

from official_vision import cli
from official_vision.errors import UserError

SCRIPT = """
from absl import flags
from official_vision import cli
from official_vision.errors import UserError

def main(*arguments):
    {body}

cli.define_gin_flags()
flags.adopt_module_key_flags(cli)
cli.run(main, arguments={arguments!r})
"""


def run(body, *flags, arguments="", env=None):
    command = [sys.executable, "-c", SCRIPT.format(body=body, arguments=arguments), *flags]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(env or {})},
    )


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


@pytest.mark.parametrize("flag", ["-h", "--help", "--helpfull"])
def test_help_is_0(flag):
    result = run("raise UserError('never')", "--gin_file=x", flag, "--nonsense")
    assert (result.returncode, result.stderr) == (0, "")
    assert "--gin_bindings" in result.stdout


def test_settings_are_printed():
    result = run("raise UserError('never')", "--settings")
    assert result.returncode == 0
    assert "PrepareSpec.short_side = 256  (whole number, at least 16)" in result.stdout


def test_arguments_may_be_before_and_after_flags():
    result = run(
        "print(*arguments)", "a.mp4", "--gin_file=x", "b c.mp4", "--", "-h", arguments="videos"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "['a.mp4', 'b c.mp4', '-h']\n"


@pytest.mark.parametrize(
    ("number", "words"), [("ENOSPC", "No space left on device"), ("EACCES", "Permission denied")]
)
def test_what_the_system_refuses_is_one_line(number, words):
    result = run(f"import errno; raise OSError(errno.{number}, '{words}', 'out/x.png')")
    assert result.returncode == 1
    assert f"Received: out/x.png ({words})." in result.stderr
    assert result.stderr.count("\n") == 1


def test_names_that_the_terminal_lacks_are_escaped_and_a_closed_pipe_is_silent():
    result = run(r"print('caf\udce9 \u8dd1')", env={"PYTHONIOENCODING": "ascii"})
    assert (result.returncode, result.stdout) == (0, "caf\\udce9 \\u8dd1\n")
    assert run(r"raise UserError('of two\nlines')").stderr == "error: of two lines\n"
    script = SCRIPT.format(body="print('x' * 100000)", arguments="")
    shell = f"{sys.executable} -c {shlex.quote(script)} | head -c 1"
    done = subprocess.run(["bash", "-c", f"{shell}; exit ${{PIPESTATUS[0]}}"], capture_output=True,
                          text=True, timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("flag", ["extra", "--no_such_flag=1"])
def test_a_wrong_argument_is_refused(flag):
    result = run("return None", flag)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_a_flag_takes_finite_numbers(text, monkeypatch):
    """NaN is neither below a bound nor above it, so that no comparison with it would ever refuse a result."""
    values = flags.FlagValues()
    flags.DEFINE_float("limit", 1.0, "", flag_values=values)
    monkeypatch.setattr(cli.flags, "FLAGS", values)
    values(["command", "--limit=1e300"])
    cli._check_numbers()
    values(["command", f"--limit={text}"])
    with pytest.raises(UserError, match=rf"^--limit must be a finite number\. Received: {text}"):
        cli._check_numbers()


def test_importing_it_changes_nothing_and_running_spares_the_collector():
    body = """
    import gc, sys
    assert gc.get_threshold() == (100_000, 50, 50) and "pandas" not in sys.modules
"""
    code = (
        f"import gc; before = gc.get_threshold()\n{SCRIPT.format(body=body.strip(), arguments='')}"
    )
    code = code.replace("cli.run", "assert gc.get_threshold() == before\ncli.run")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
