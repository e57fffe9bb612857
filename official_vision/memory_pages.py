"""Memory in pages of 2 MiB, for commands that compute networks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_TUNABLES = "GLIBC_TUNABLES"
_ASKS_FOR_HUGE_PAGES = "glibc.malloc.hugetlb=1"
_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def use_huge_pages() -> None:
    """Starts this command anew, in the same process, with an allocator that asks Linux for huge pages.

    A network's maps come and go by the megabyte, each in pages of 4 KiB that the system must clear and find:
    AssembleNet-50's training step takes 1.03 times as long with those. glibc reads what it is told once, at
    the start. Does nothing where it is told something else, and where Linux gives huge pages to all or none.
    """
    if _is_worth_it(sys.platform, os.environ, _setting()):
        os.environ[_TUNABLES] = _ASKS_FOR_HUGE_PAGES  # which also tells the next start to go on
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _is_worth_it(platform: str, environment: Mapping[str, str], setting: str) -> bool:
    return platform == "linux" and _TUNABLES not in environment and "[madvise]" in setting


def _setting() -> str:
    try:
        return _SETTING.read_text()
    except OSError:
        return ""
