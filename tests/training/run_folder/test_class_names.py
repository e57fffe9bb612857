"""Class names out of the files in which other programs keep them."""

import json

import pytest

from official_vision.errors import UserError
from official_vision.specs import TrainSpec
from official_vision.training.run_folder.class_names import (
    check_same_classes,
    check_start_classes,
    labels_of_run,
    read_labels,
    write_labels,
)

NAMES = ("cat", "dog", "10")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "cat\ndog\n10\n"),
        ("list.json", json.dumps(NAMES)),
        ("id2label.json", json.dumps({"1": "dog", "0": "cat", "2": "10"})),
        ("label2id.json", json.dumps({"dog": 1, "10": 2, "cat": 0})),
        ("config.json", json.dumps({"id2label": {"2": "10", "1": "dog", "0": "cat"}, "x": 1})),
    ],
)
def test_names_are_read_in_the_order_of_their_numbers(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert read_labels(tmp_path / name) == NAMES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("twice.txt", "cat\ncat\n"),
        ("gap.txt", "cat\n\ndog\n"),
        ("empty.txt", ""),
        ("numbers.json", "[1, 2]"),
        ("from_one.json", '{"1": "cat", "2": "dog"}'),
        ("other.json", '{"a": {}}'),
        ("text.json", '"cat"'),
    ],
)
def test_files_that_name_no_classes_are_refused(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match="Class names must be") as error:
        read_labels(tmp_path / name)
    assert len(str(error.value).splitlines()) == 1


def test_a_missing_or_binary_file_is_refused(tmp_path):
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    for name in ("none.txt", "binary.txt"):
        with pytest.raises(UserError, match="readable text file"):
            read_labels(tmp_path / name)


def test_data_of_other_classes_is_refused():
    check_same_classes(None, ("dog", "cat"), "data")
    check_same_classes(("cat", "dog"), ("cat", "dog"), "data")
    with pytest.raises(UserError, match="data and the run, whose class 0 is 'dog' and 'cat'"):
        check_same_classes(("cat", "dog"), ("dog", "cat"), "data")


def test_a_run_to_start_from_must_have_the_same_classes_or_another_number(tmp_path):
    """Also where a checkpoint in its folder, or in best/, is named."""
    write_labels(tmp_path, ("jump", "run"))
    (tmp_path / "best").mkdir()
    for start in (tmp_path, tmp_path / "ckpt-100", tmp_path / "best" / "best_ckpt-100"):
        train = TrainSpec(init_checkpoint=str(start))
        check_start_classes(train, ("jump", "run"))
        check_start_classes(train, ("jump", "run", "sit"))  # its classifier is left out, and named
        with pytest.raises(UserError, match="whose class 1 is 'run' and 'Run'") as raised:
            check_start_classes(train, ("jump", "Run"))
        assert "\n" not in str(raised.value)
        anew = TrainSpec(init_checkpoint=str(start), init_classifier=False)
        check_start_classes(anew, ("jump", "Run"))


def test_names_are_kept_as_the_data_spell_them(tmp_path):
    names = (" run", "run", "x y ", "\u00e9")
    write_labels(tmp_path, names)
    assert labels_of_run(tmp_path) == names
    assert labels_of_run(tmp_path / "elsewhere") is None
    with pytest.raises(UserError, match="Class names must be different"):
        write_labels(tmp_path, ("two\nlines", "run"))
