"""Videos without splits are divided: by seed, by class, by whole groups."""

import dataclasses
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.data.annotations.automatic_split import divide
from official_vision.data.annotations.manifest import Label, Manifest, VideoRow
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec

CLASSES = ("a", "b", "c")


def manifest(*labels, group="".format, path="{}.mp4".format):
    rows = tuple(
        VideoRow(str(n), path(n), "", tuple(Label(c) for c in classes), group=group(n))
        for n, classes in enumerate(labels)
    )
    return Manifest(CLASSES, rows)


def counts(divided):
    """(split, class) -> videos."""
    return Counter((row.split, label.class_index) for row in divided.rows for label in row.labels)


def test_each_class_is_divided_by_the_shares():
    spec = PrepareSpec(validation_share=0.2, test_share=0.1)
    divided = divide(manifest(*[(0,)] * 100, *[(1,)] * 50, *[(2,)] * 3), spec)
    assert counts(divided) == {
        ("train", 0): 70, ("validation", 0): 20, ("test", 0): 10,
        ("train", 1): 35, ("validation", 1): 10, ("test", 1): 5,
        ("train", 2): 1, ("validation", 2): 1, ("test", 2): 1,
    }  # fmt: skip
    assert divided.division[0].endswith("divided: test 16, train 106, validation 31 (seed 0)")
    assert [row.id for row in divided.rows] == [str(n) for n in range(153)]


def test_the_seed_chooses_and_chooses_again_alike():
    one, again, other = (
        [row.split for row in divide(manifest(*[(0,)] * 40), PrepareSpec(split_seed=seed)).rows]
        for seed in (0, 0, 1)
    )
    assert one == again != other
    assert Counter(one) == Counter(other) == {"train": 32, "validation": 8}


def test_names_of_groups_may_be_any_text():
    """JSON can hold halves of letters, and paths can hold bytes, that no encoding of text has."""
    names = ["\ud800", "\udce9", "a"]
    assert len(divide(manifest((0,), (0,), (0,), group=names.__getitem__), PrepareSpec()).rows) == 3


@given(st.lists(st.tuples(st.integers(0, 5), st.sets(st.integers(0, 2))), min_size=2, max_size=30))
def test_groups_stay_together(videos):
    """Whatever the labels; and every split gets a video where groups suffice."""
    divided_from = manifest(
        *[sorted(labels) for _, labels in videos], group=lambda n: f"person {videos[n][0]}"
    )
    groups = {group for group, _ in videos}
    if len(groups) < 2:
        with pytest.raises(UserError, match="at least 2 groups"):
            divide(divided_from, PrepareSpec())
        return
    divided = divide(divided_from, PrepareSpec())
    split_of = {}
    for row in divided.rows:
        assert split_of.setdefault(row.group, row.split) == row.split
    assert set(split_of.values()) == {"train", "validation"}


def test_parts_of_a_file_stay_together():
    divided = divide(manifest(*[(0,)] * 30, path=lambda n: f"{n // 3}.mp4"), PrepareSpec())
    assert len({(row.path, row.split) for row in divided.rows}) == 10
    with pytest.raises(
        UserError, match=r"parts of a file must be of one group.*0\.mp4, in 'g0' and 'g1'"
    ):
        divide(manifest((0,), (0,), path="0.mp4".format, group="g{}".format), PrepareSpec())


def test_a_class_that_a_split_lacks_is_noted():
    divided = divide(manifest(*[(0,)] * 10, (1,)), PrepareSpec())
    assert divided.division[1:] == ("too few videos (or groups) of b: validation has none",)


def test_the_smallest_group_goes_where_there_would_be_none():
    divided = divide(
        manifest((0,), (0, 1), (0, 2), group=lambda n: "big" if n < 2 else "small"), PrepareSpec()
    )
    assert [row.split for row in divided.rows] == ["train", "train", "validation"]


def test_splits_that_are_named_stay():
    named = dataclasses.replace(
        manifest((0,)), rows=(dataclasses.replace(manifest((0,)).rows[0], split="mine"),)
    )
    assert divide(named, PrepareSpec(validation_share=0.9, test_share=0.9)) is named


def test_shares_leave_videos_for_training():
    with pytest.raises(UserError, match=r"less than 1 together\. Received: 0\.5 and 0\.5"):
        divide(manifest((0,), (0,)), PrepareSpec(validation_share=0.5, test_share=0.5))
