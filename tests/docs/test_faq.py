"""The page of questions: each message is what the mistake, made as a user makes it, ends with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import questions
from tests.docs.test_tutorials import QUESTION_OF_A_RUN

REPOSITORY = Path(__file__).resolve().parents[2]
# A run that diverges takes a training: tests/training/resilience makes some. Here only the words are compared.
IN_SOURCE = {"The loss is NaN": "official_vision/training/run.py"}


def test_each_question_is_tried() -> None:
    tried = {*questions.MADE, *IN_SOURCE, QUESTION_OF_A_RUN}
    assert set(questions.shown()) == tried
    assert 15 <= len(tried) <= 25


def test_each_question_has_a_reason_and_a_remedy() -> None:
    sections = re.split(r"^### ", questions.PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for section in sections[1:]:
        after = section.split("```")[2].split("\n## ")[0]
        assert len(after.split()) > 10, section.splitlines()[0]


@pytest.mark.usefixtures("footage")
@pytest.mark.parametrize("heading", questions.MADE)
def test_the_message_is_what_the_mistake_ends_with(heading: str, tmp_path: Path) -> None:
    made = questions.MADE[heading](tmp_path)
    assert questions.comparable(made, tmp_path) == questions.shown()[heading]


@pytest.mark.parametrize("heading", IN_SOURCE)
def test_the_words_are_in_the_code(heading: str) -> None:
    assert questions.shown()[heading] in (REPOSITORY / IN_SOURCE[heading]).read_text()
