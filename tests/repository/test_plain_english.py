"""Constructions and names that puzzle readers, and what to write in their place."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SUFFIXES = {".py", ".md", ".gin", ".toml", ".html", ".js", ""}
_PER = "second|frame|step|core|clip|video|class|connection|channel|process|row|line|stream|run"
_UNIT = "row|clips|frames|pixels|steps|labels|bytes|lines|threads|texts|FLOPs|vector|kernel"
# Pattern -> what to write. In pieces where this file would hold what it forbids.
BANNED = {
    "REFERENCE sec" + "tion": "the paper, with its section, equation or table",
    r"(is|was) no num" + "ber": "NaN",
    r"(is|are) no UT" + "F-8": "not UTF-8",
    "(falls|fell) d" + "ue": "when it happens: at multiples of an interval, after a loop",
    "answering net" + "work|network (that|as it) ans" + "wers": "inference network",
    rf"({_UNIT}) a ({_PER})\b(?=[.,;:)/]|$)": "per",
    rf"\d (s|ms|KB|KiB|MB|MiB) a ({_PER}|GB)\b": "per",
    "one conn" + "ection a (line|row)": "one line per connection",
    r"way through the ho" + "use": "what the section is about",
    r" (its|their|our|one's) o" + r"wn[.,;:) ]": "separate, custom, other",
    r"(is|are|was|were|be|being) (to" + "ld|as" + r"ked)\b": "is reported, is set, is run",
    r"(is|are) answ" + r"ered\b|answers? (a|the|each|one|with|as)\b": "score, return, respond",
    r" (tells|says?) (what|how|which|why|of)\b": "report, name, set, show",
    r"ask(s|ed) f" + r"or\b": "needs, reads, is set",
    r" (holds|held) (no|none|nothing|neither)\b": "has none",
    "[Nn]o" + "body|[Ww]ho" + "ever": "who or what it is",
}
# Past participles and pronouns that say nothing of a value: a variable is named for what it holds.
VAGUE = re.compile(r"_?(own|found|given|told|asked|held|kept|said|answers?|answered)_?")


@functools.cache
def texts() -> dict[Path, str]:
    folders = ("official_vision", "tools", "tests", "docs", "gin_configs")
    paths = [path for folder in folders for path in (REPOSITORY / folder).rglob("*")]
    paths += [*REPOSITORY.glob("*.md"), REPOSITORY / "Makefile"]
    return {
        path.relative_to(REPOSITORY): path.read_text(encoding="utf-8", errors="ignore")
        for path in paths
        if path.is_file() and path.suffix in SUFFIXES
    }


def bound_names(source: str) -> Iterator[tuple[int, str]]:
    """Yields the line and name of everything that Python code binds, but for what it imports as named elsewhere."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs) and node.name:
            yield node.lineno, node.name


def vague(source: str) -> list[tuple[int, str]]:
    if not re.search(rf"\b{VAGUE.pattern}\b", source):  # parsing takes most of the time
        return []
    return [(line, name) for line, name in bound_names(source) if VAGUE.fullmatch(name)]


def test_words_are_plain() -> None:
    places = [
        f"{path}: {match[0]!r}; write: {better}"
        for pattern, better in BANNED.items()
        for path, text in texts().items()
        for match in re.finditer(pattern, text, re.MULTILINE)
    ]
    assert places == []


def test_names_say_what_they_hold() -> None:
    places = [
        f"{path}:{line}: {name}"
        for path, text in texts().items()
        if path.suffix == ".py"
        for line, name in vague(text)
    ]
    assert not places, f"name the value: node, width, clip, record, path ...: {places}"


@pytest.mark.parametrize(
    "source",
    [
        "own = 1",
        "def f(given): ...",
        "def _told(): ...",
        "[kept for kept in x]",
        "x.held = 1",
        "with f() as found: ...",
        "try: ...\nexcept E as said: ...",
        "lambda asked: 0",
        "class answer: ...",
        "(_found := 1)",
    ],
)
def test_the_name_check_sees_every_binding(source: str) -> None:
    assert len(vague(source)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "in a process of its o" + "wn.",
        "damage is to" + "ld",
        "GFLOPs a cl" + "ip, 3 ms a fr" + "ame",
    ],
)
def test_the_word_check_sees_constructions(text: str) -> None:
    assert any(re.search(pattern, text) for pattern in BANNED)


def test_the_name_check_passes_words_and_imports() -> None:
    assert vague("from hypothesis import given\nx = 'own'  # told\nkept_inputs = given.held") == []
