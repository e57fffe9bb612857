"""Submissions to Charades' localisation: written, read, and made by others with mistakes."""

import numpy as np
import pytest

from official_vision.errors import UserError
from official_vision.metrics.charades_map import CLASSES
from official_vision.metrics.localisation.submission import read_localisation, write_localisation

NAMES = [f"c{number:03}" for number in range(CLASSES)]
ROW = " ".join(["0.5"] * CLASSES)


def test_a_submission_reads_back_to_the_bit(tmp_path):
    scores = np.random.default_rng(0).random((2, 25, CLASSES)).astype(np.float32)
    path = tmp_path / "submission.txt"
    write_localisation(path, {"YSKX3": scores[0], "AB12C": scores[1]}, NAMES)
    lines = path.read_text().splitlines()
    assert [line.split(" ")[:2] for line in lines[:2]] == [["YSKX3", "1"], ["YSKX3", "2"]]
    assert (len(lines), lines[-1].split(" ")[:2]) == (50, ["AB12C", "25"])
    back = read_localisation(path)
    assert list(back) == ["YSKX3", "AB12C"]
    np.testing.assert_array_equal(np.stack([*back.values()]).astype(np.float32), scores)
    with pytest.raises(UserError, match=r"157 classes\. Received: 2"):
        write_localisation(path, {}, ["x", "y"])


@pytest.mark.parametrize("first", [0, 1])
def test_frames_count_from_1_or_0_and_points_may_lack(tmp_path, first):
    path = tmp_path / "others.txt"
    path.write_text(f"B {first + 2} {ROW}\n\nA {first} {ROW.replace(' ', ', ')}\n")
    scores = read_localisation(path)
    assert list(scores) == ["B", "A"]
    assert np.flatnonzero(np.isfinite(scores["A"]).all(axis=1)).tolist() == [0]
    assert np.flatnonzero(np.isfinite(scores["B"]).any(axis=1)).tolist() == [2]
    assert scores["B"][2].tolist() == [0.5] * CLASSES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "which is empty"),
        (f"A 1 {ROW}\nA 1 {ROW}\n", r"others\.txt:2: a frame of a video is named once"),
        (f"A 1 {ROW} 0.5\n", r"others\.txt:1: a line is .*158 scores"),
        (f"A 1.5 {ROW}\n", r"others\.txt:1: a line is an id, a frame's number and 157 scores"),
        (f"A 1 {ROW}\nA 26 {ROW}\n", r"others\.txt:2: frames count from 1 to 25"),
        (f"A 1 {ROW.replace('0.5', 'nan', 1)}\n", r"others\.txt:1: a line is"),
    ],
)
def test_mistakes_name_the_line(tmp_path, text, words):
    path = tmp_path / "others.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_localisation(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_localisation(tmp_path / "none.txt")
