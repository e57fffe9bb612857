"""Class names become indices; what no single row can show is checked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.data.annotations.manifest import Label, NamedRow, checked_span, make_manifest
from official_vision.errors import UserError

NAMES = st.lists(st.sampled_from("abcdef"), max_size=4)


def named(number, labels, split="train"):
    timed = tuple((name, None, None) for name in labels)
    return NamedRow(f"f.csv:{number}", f"v{number}", f"v{number}.mp4", split, timed)


@given(st.lists(NAMES, min_size=1, max_size=6))
def test_every_label_keeps_its_name(labels_of_rows):
    rows = [named(number, labels) for number, labels in enumerate(labels_of_rows)]
    manifest = make_manifest(rows, None, "f.csv")
    assert list(manifest.classes) == sorted({name for labels in labels_of_rows for name in labels})
    names = [[manifest.classes[label.class_index] for label in row.labels] for row in manifest.rows]
    assert names == labels_of_rows


def test_named_classes_keep_their_order():
    manifest = make_manifest([named(0, ["b"])], ("c", "b", "a"), "f.csv")
    assert manifest.classes == ("c", "b", "a")
    assert manifest.rows[0].labels == (Label(1),)


def test_splits_keep_the_order_of_the_file():
    rows = [named(n, [], split) for n, split in enumerate(["val", "train", "val"])]
    manifest = make_manifest(rows, (), "f.csv")
    assert manifest.splits() == ("train", "val")
    assert [row.id for row in manifest.rows_of("val")] == ["v0", "v2"]


def test_no_rows_an_id_twice_and_an_unknown_class_are_refused():
    with pytest.raises(UserError, match=r"empty\.csv, which names none"):
        make_manifest([], None, "empty.csv")
    with pytest.raises(UserError, match=r"f\.csv:1: .*'v1', first at f\.csv:1"):
        make_manifest([named(1, []), named(1, [])], None, "f.csv")
    with pytest.raises(UserError, match=r"f\.csv:0: .*one of the 1 classes.*'b'"):
        make_manifest([named(0, ["b"])], ("a",), "f.csv")


@pytest.mark.parametrize("span", [(-1, 2), (2, 2), (3, 1), (None, 0), (float("nan"), None)])
def test_impossible_spans_are_refused(span):
    with pytest.raises(UserError, match=r"^here: a span needs 0 <= start < end"):
        checked_span(*span, "here")


@pytest.mark.parametrize("span", [(None, None), (0, None), (None, 1.5), (1, 2)])
def test_possible_spans_pass(span):
    assert checked_span(*span, "here") == span
