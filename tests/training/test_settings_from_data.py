"""Settings that a run takes from its data, and data that it refuses."""

from __future__ import annotations

import dataclasses

import pytest

from official_vision.data.storage.index import Labelling
from official_vision.data.storage.label_summary import label_summary
from official_vision.errors import UserError
from official_vision.training.settings_from_data import notes_on_settings, read_splits, settled
from tests.training import runs

GRAPH = runs.architecture()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return runs.write_data(tmp_path_factory.mktemp("scenes"))


def left_to_the_data(data, **settings):
    config = runs.config(data, "run", "small.json", **settings)
    unset = {"num_classes": None, "num_object_classes": None, "activation": None}
    unset = {name: value for name, value in unset.items() if name not in settings}
    return dataclasses.replace(config, model=dataclasses.replace(config.model, **unset))


def indexes_of(config, **changes):
    """The splits' indexes with changes of the training data's."""
    indexes = read_splits(config, GRAPH)
    return {**indexes, "train": dataclasses.replace(indexes["train"], **changes)}


def settle(data, settings=None, **changes):
    config = left_to_the_data(data, **settings or {})
    return settled(config, GRAPH, indexes_of(config, **changes))


def test_numbers_come_from_the_index(data):
    model = settle(data).model
    assert (model.num_classes, model.num_object_classes, model.activation) == (4, 4, "softmax")
    # Ids that occur count, also where fewer have names.
    assert settle(data, stored_object_ids=7).model.num_object_classes == 7
    assert settle(data, {"num_object_classes": 9}).model.num_object_classes == 9


@pytest.mark.parametrize(
    ("labelling", "rule", "activation"),
    [
        (Labelling(), "whole_video", "softmax"),
        (Labelling(without="v3"), "whole_video", "sigmoid"),
        (Labelling(several="v3"), "whole_video", "sigmoid"),
        (Labelling(timed="v3"), "any_overlap", "sigmoid"),
    ],
)
def test_labels_decide_the_rule_and_the_activation(labelling, rule, activation, data):
    config = settle(data, labelling=labelling)
    assert config.train_data.label_rule == rule
    assert config.validation_data.label_rule == "whole_video"
    assert config.model.activation == activation


@pytest.mark.parametrize(
    ("labelling", "words"),
    [
        (Labelling(without="v3"), "video 'v3' has no label"),
        (Labelling(several="v3"), "video 'v3' has several labels"),
        (Labelling(timed="v3"), "set train/DataSpec.label_rule = 'whole_video'"),
    ],
)
def test_softmax_is_refused_where_a_clip_may_not_have_one_label(labelling, words, data):
    with pytest.raises(UserError) as raised:
        settle(data, {"activation": "softmax"}, labelling=labelling)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_frames_that_are_trained_on_may_have_no_label(data):
    """Though the clips have exactly one by their rule."""
    share = {"frame_share": 0.5, "label_rule": "whole_video"}
    config = settle(data, share, labelling=Labelling(timed="v3"))
    assert config.model.activation == "sigmoid"
    with pytest.raises(UserError, match=r"part of it alone\. Mend the labels, or set"):
        settle(data, {**share, "activation": "softmax"}, labelling=Labelling(timed="v3"))
    assert settle(data, share).model.activation == "softmax"
    with pytest.raises(UserError, match="Take 'max', or a share below 1"):
        settle(data, {"frame_share": 1.0, "frame_pooling": "softmax"})


def test_timed_labels_may_be_read_as_whole_ones(data):
    timed = Labelling(timed="v3")
    config = settle(data, {"label_rule": "whole_video"}, labelling=timed)
    assert (config.train_data.label_rule, config.model.activation) == ("whole_video", "softmax")


def test_too_few_object_ids_are_refused_and_more_are_reported(data):
    with pytest.raises(UserError, match=r"no less than the data's ids\. Received: 3, .* have 4"):
        settle(data, {"num_object_classes": 3})
    config = left_to_the_data(data, num_object_classes=9)
    indexes = indexes_of(config)
    lines = notes_on_settings(settled(config, GRAPH, indexes), config.model, GRAPH, indexes)
    assert any("5 channels of the object stream are always 0" in line for line in lines)


def test_the_first_lines_say_what_was_decided(data):
    config = left_to_the_data(data)
    timed = Labelling(several="v2", timed="v3")
    prepared = {"settings": {"fps": 5.0, "short_side": 32}, "object_classes": ("none",)}
    indexes = indexes_of(config, labelling=timed, stored_object_ids=4, **prepared)
    lines = notes_on_settings(settled(config, GRAPH, indexes), config.model, GRAPH, indexes)
    assert lines[0] == (
        "data: train 16, validation 6 videos; 4 classes, any number of labels (sigmoid): "
        "video 'v2' has several labels"
    )
    (times,) = [line for line in lines if line.startswith("labels have times")]
    assert "train/DataSpec.label_rule = 'any_overlap'" in times
    assert "evaluation judges whole videos" in times
    assert [line.split(": ")[2] for line in lines if "prepared differently" in line] == [
        "fps is 5.0 in train and None in validation",
        "the list of object ids is ['none'] in train and ['none', 'a', 'b', 'c'] in validation",
    ]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("red", "Green", "blue", "grey"), "whose class 1 is 'green' and 'Green'"),
        (("red", "green", "blue"), "of 4 and 3 classes, 'grey' being the first in one alone"),
    ],
)
def test_splits_of_other_classes_are_refused(classes, words, data, tmp_path):
    runs.write_split(tmp_path / "validation", [0, 1], classes=classes)
    config = left_to_the_data(data)
    validation = dataclasses.replace(config.validation_data, path=str(tmp_path / "validation"))
    with pytest.raises(UserError) as raised:
        read_splits(dataclasses.replace(config, validation_data=validation), GRAPH)
    assert words in str(raised.value)


def test_labels_of_a_split_are_looked_through():
    whole = (-1.0, -1.0)
    assert label_summary([("a", [(0, *whole)])], 2)["labelling"] == Labelling()
    videos = [
        ("a", [(0, *whole), (0, 1.0, 2.0)]),  # the class applies throughout nevertheless
        ("b", [(0, *whole), (1, *whole)]),
        ("c", []),
        ("d", [(1, 0.5, -1.0)]),
        ("e", [(1, 0.0, 2.0), (0, *whole)]),
    ]
    summary = label_summary(videos, 2)
    assert summary["labelling"] == Labelling(without="c", several="b", timed="d")
    assert (summary["video_classes"], summary["class_counts"]) == (
        ((0,), (0, 1), (), (1,), (0, 1)),
        (3, 3),
    )
