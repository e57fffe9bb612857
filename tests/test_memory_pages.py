"""Commands that compute networks ask for huge pages once, and only where Linux asks to be asked."""

import os
import subprocess
import sys

import pytest

from official_vision.memory_pages import _is_worth_it, _setting

SCRIPT = """
import os, sys
from official_vision import cli
print('started', os.getpid(), flush=True)
cli.run(lambda: print('runs', os.getpid(), os.environ.get('GLIBC_TUNABLES'), sys.argv[1:]), {computes})
"""


@pytest.mark.parametrize(
    ("platform", "tunables", "setting", "expected"),
    [
        ("linux", None, "always [madvise] never\n", True),
        ("linux", None, "[always] madvise never\n", False),
        ("linux", None, "always madvise [never]\n", False),
        ("linux", None, "", False),
        ("linux", "glibc.malloc.hugetlb=0", "always [madvise] never\n", False),
        ("linux", "", "always [madvise] never\n", False),
        ("darwin", None, "always [madvise] never\n", False),
    ],
)
def test_when(platform: str, tunables: str | None, setting: str, expected: bool) -> None:
    environment = {} if tunables is None else {"GLIBC_TUNABLES": tunables}
    assert _is_worth_it(platform, environment, setting) is expected


@pytest.mark.parametrize("computes", [True, False])
@pytest.mark.parametrize("own", [None, "glibc.malloc.hugetlb=0"])
def test_a_command_starts_anew_in_its_process(computes: bool, own: str | None) -> None:
    """Its arguments stay, and what the user tells glibc stays too."""
    environment = {name: x for name, x in os.environ.items() if name != "GLIBC_TUNABLES"}
    environment |= {"GLIBC_TUNABLES": own} if own else {}
    command = [sys.executable, "-c", SCRIPT.format(computes=computes), "--v=1"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    *started, runs = done.stdout.splitlines()
    restarts = computes and _is_worth_it(sys.platform, environment, _setting())
    assert len(started) == 1 + restarts
    assert len({line.split()[1] for line in (*started, runs)}) == 1  # one process
    expected = "glibc.malloc.hugetlb=1" if restarts else own
    assert runs.split()[2:] == [str(expected), "['--v=1']"]
