"""All that the documents name exists: linked files, commands, make targets, gin files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
MAKEFILE = (REPOSITORY / "Makefile").read_text()
each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix()
)


def prose(document: Path) -> str:
    """Its text without blocks of code, which have no links."""
    return re.sub(r"(?ms)^```.*?^```$", "", document.read_text())


@each_document
def test_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if not re.match(r"[a-z]+:|#", target):
            assert (document.parent / target.split("#")[0]).exists(), target


@each_document
def test_anchors_lead_to_headings(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s:]*#[^)\s]+)\)", prose(document)):
        file, anchor = target.split("#")
        text = (document.parent / file if file else document).read_text()
        headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", line).lower().replace(" ", "-") for line in headings}
        assert anchor in anchors, target


@each_document
def test_named_files_exist(document: Path) -> None:
    pattern = r"\b(?:tools|gin_configs|tests|official_vision|docs)/[\w/]+\.(?:py|gin|md)\b"
    for name in re.findall(pattern, document.read_text()):
        assert (REPOSITORY / name).is_file(), name


@each_document
def test_make_targets_exist(document: Path) -> None:
    for name in re.findall(r"(?:^|`)make ([a-z][a-z-]*)", document.read_text(), flags=re.MULTILINE):
        assert re.search(rf"^{name}:", MAKEFILE, flags=re.MULTILINE), name


def test_make_help_names_every_target() -> None:
    (names,) = re.findall(r"^\.PHONY: help (.+)$", MAKEFILE, flags=re.MULTILINE)
    assert re.findall(r"^#   make ([a-z-]+)", MAKEFILE, flags=re.MULTILINE) == names.split()
