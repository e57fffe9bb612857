"""The changed settings with which a run may continue."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from official_vision.training.run_folder.setting_changes import changes_between
from tests.training import runs


@pytest.fixture(scope="module")
def config():
    return runs.config(Path("data"), "run", "small.json")


def changed(config, section, **settings):
    return dataclasses.replace(
        config, **{section: dataclasses.replace(getattr(config, section), **settings)}
    )


@pytest.mark.parametrize(
    ("section", "settings", "kind"),
    [
        ("model", {"gate": "self"}, "of_weights"),
        ("model", {"num_object_classes": 9}, "of_weights"),
        ("model", {"rgb_mean": 0.5}, "of_meaning"),
        ("train_data", {"frames": 9}, "of_meaning"),
        ("validation_data", {"size": 64}, "of_meaning"),
        ("train_data", {"frame_stride": 3}, "of_meaning"),
        ("train_data", {"label_rule": "half_overlap"}, "of_meaning"),
        ("train", {"precision": "mixed_bfloat16"}, "of_meaning"),
        ("optimizer", {"name": "adam"}, "of_meaning"),
        ("optimizer", {"learning_rate": 0.5}, "plain"),
        ("train_data", {"batch_size": 9}, "plain"),
        ("evaluation", {"pooling": "max"}, "plain"),
        ("train", {"steps": 99, "model_dir": "elsewhere", "devices": 1, "compiled": True}, ""),
        ("validation_data", {"path": "moved"}, ""),
        ("model", {"architecture": "moved.json"}, ""),
        ("prepare", {"short_side": 99}, ""),
    ],
)
def test_each_change_is_of_its_kind(section, settings, kind, config):
    actual = dataclasses.asdict(
        changes_between(config.to_dict(), changed(config, section, **settings))
    )
    ((name, value), *_) = settings.items()
    before = getattr(getattr(config, section), name)
    expected = (f"{section}.{name} was {before!r}, is {value!r}",)
    assert actual == {
        "of_weights": (),
        "of_meaning": (),
        "plain": (),
        **({kind: expected} if kind else {}),
    }


def test_one_optimizer_is_reported_once_and_two_are_distinguished(config):
    rate = changed(config, "optimizer", learning_rate=0.5)
    both = changed(rate, "architecture_optimizer", learning_rate=0.5)
    assert changes_between(config.to_dict(), both).plain == (
        "optimizer.learning_rate was 0.05, is 0.5",
    )
    assert len(changes_between(config.to_dict(), rate).plain) == 1


def test_where_nothing_was_trained_only_the_model_counts(config):
    now = changed(changed(config, "train_data", frames=9), "model", gate="none")
    changes = changes_between(config.to_dict(), now, of_model_alone=True)
    assert (changes.of_weights, changes.of_meaning) == (("model.gate was 'peer', is 'none'",), ())
