"""The reference of settings: whole, up to date, and the message about values that can't be read."""

import dataclasses
import re
from pathlib import Path

import pytest

from official_vision.specs import ALL, reference
from official_vision.specs.mistakes import of_value
from tests.commands import REPOSITORY

SPECS = {spec.__name__: spec for spec in ALL}


def test_the_page_is_up_to_date():
    page = Path(REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == reference.to_markdown(ALL), "run make settings"


def test_every_setting_is_named_once_with_its_default():
    page, text = reference.to_markdown(ALL), reference.to_text(ALL)
    for spec in ALL:
        for field in dataclasses.fields(spec):
            name = f"{spec.__name__}.{field.name}"
            (line,) = re.findall(
                rf"^\| `{re.escape(name)}` \| `(.*?)` \|", page, flags=re.MULTILINE
            )
            assert line == repr(field.default)
            assert f"  {name} = {field.default!r}  (" in text


def test_rules_are_in_words():
    settings = {s.name: s for spec in ALL for s in reference.settings_of(spec)}
    assert settings["PrepareSpec.short_side"].values == "whole number, at least 16"
    assert settings["PrepareSpec.fps"].values == "number, more than 0 and at most 1000; or None"
    assert settings["DataSpec.flip"].values == "True or False"
    assert settings["TrainSpec.frozen"].values == "list of texts"
    assert (
        settings["SearchSpec.curve_shares"].values == "list of numbers, more than 0 and at most 1"
    )
    assert settings["ModelSpec.gate"].values == "'none', 'static', 'self', 'peer'"
    assert (
        settings["PrepareSpec.short_side"].meaning == "shorter side of the stored frames in pixels."
    )
    assert settings["TrainSpec.seed"].meaning.startswith("seed of weight initialisation")


def test_words_choose_settings():
    text = reference.to_text(ALL, ["learning_rate", "flip"])
    assert re.findall(r"^  (\S+) =", text, flags=re.MULTILINE) == [
        "DataSpec.flip",
        "OptimizerSpec.learning_rate",
        "SearchSpec.retrain_learning_rate",
    ]
    assert reference.to_text(ALL, ["no such"]) == ""


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("ModelSpec.gate = peer", "Quote it: ModelSpec.gate = 'peer'."),
        ("ModelSpec.gate = 'peer", "Quote it: ModelSpec.gate = 'peer'."),
        ("  TrainSpec.model_dir = demo/x  # mine", "Quote it: TrainSpec.model_dir = 'demo/x'."),
        (
            "train/DataSpec.path=\u201cdata/train\u201d",
            "Quote it: train/DataSpec.path = 'data/train'.",
        ),
        ("DataSpec.flip = true", "Write DataSpec.flip = True."),
        ("DataSpec.flip = OFF", "Write DataSpec.flip = False."),
        ("DataSpec.flip = maybe", "Write DataSpec.flip = True or DataSpec.flip = False."),
        ("PrepareSpec.fps = null", "Write PrepareSpec.fps = None."),
        ("PrepareSpec.fps = 29.97fps", "Write PrepareSpec.fps = 29.97."),
        ("TrainSpec.steps = 10,000", "Write TrainSpec.steps = 10000."),
        ("TrainSpec.steps = -08", "Write TrainSpec.steps = -8."),
        ("TrainSpec.steps = 2*3", "(here)."),
        (
            "TrainSpec.frozen = (head, stem)",
            "Quote each text: TrainSpec.frozen = ['head', 'stem'].",
        ),
    ],
)
def test_a_value_without_quotes_gets_a_remedy(line, remedy):
    message = of_value(line, "here", SPECS)
    assert message.startswith("A setting's value is a number, True, False, None, a text in quotes")
    assert message.endswith(remedy)
    assert f"Received: {line.strip()} (here)." in message


@pytest.mark.parametrize("line", ["", "x", "NoSpec.x = y", "ModelSpec.no = y", "ModelSpec.gate ="])
def test_other_lines_get_no_advice(line):
    assert of_value(line, "here", SPECS) == ""
