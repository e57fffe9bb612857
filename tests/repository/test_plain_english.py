"""Constructions that puzzle readers, and what to write in their place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SUFFIXES = {".py", ".md", ".gin", ".toml", ".html", ""}
_PER = "second|frame|step|core|clip|video|class|connection|channel|process"
# Pattern -> what to write. In pieces where this file would hold what it forbids.
BANNED = {
    "REFERENCE sec" + "tion": "the paper, with its section, equation or table",
    r"(is|was) no num" + "ber": "NaN",
    "(falls|fell) d" + "ue": "when it happens: at multiples of an interval, after a loop",
    "answering net" + "work|network (that|as it) ans" + "wers": "inference network",
    rf"\b(row|clips|frames|pixels|steps|labels|bytes) a ({_PER})\b(?=[.,;:)]|$)": "per",
    "one conn" + "ection a (line|row)": "one line per connection",
    r"way through the ho" + "use": "what the section is about",
}


def texts() -> list[Path]:
    folders = ("official_vision", "tools", "tests", "docs", "gin_configs")
    paths = [path for folder in folders for path in (REPOSITORY / folder).rglob("*")]
    paths += [*REPOSITORY.glob("*.md"), REPOSITORY / "Makefile"]
    return [path for path in paths if path.is_file() and path.suffix in SUFFIXES]


@pytest.mark.parametrize("pattern", BANNED)
def test_words_are_plain(pattern: str) -> None:
    banned = re.compile(pattern, re.MULTILINE)
    places = [
        f"{path.relative_to(REPOSITORY)}: {match[0]!r}"
        for path in texts()
        for match in banned.finditer(path.read_text(encoding="utf-8", errors="ignore"))
    ]
    assert not places, f"write {BANNED[pattern]}: {places}"
