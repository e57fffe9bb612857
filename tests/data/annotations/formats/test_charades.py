"""Charades' files as they are published, and as they get broken."""

import pytest

from official_vision.data.annotations.formats.charades import NUM_CLASSES, read_charades
from official_vision.data.annotations.manifest import Label
from official_vision.errors import UserError
from tests.data.annotations.formats.official_files import write_charades

FRAME = 1 / 24


def test_official_files(tmp_path):
    write_charades(
        tmp_path,
        {"46GP8": ("c092 11.90 21.20;c147 0.00 12.60", "24.83"), "N11GT": ("", "18.33")},
        {"YSKX3": ("c001 0.00 5.00;c001 7.00 9.00;c001 0.00 5.00", "20.00")},
    )
    manifest = read_charades(tmp_path)
    assert len(manifest.classes) == NUM_CLASSES
    assert manifest.classes[92] == "c092 Doing thing 92"
    assert [(row.id, row.path, row.split) for row in manifest.rows] == [
        ("46GP8", "46GP8.mp4", "train"),
        ("N11GT", "N11GT.mp4", "train"),
        ("YSKX3", "YSKX3.mp4", "test"),
    ]
    assert manifest.rows[0].labels == (Label(92, 11.9, 21.2), Label(147, 0.0, 12.6))
    assert manifest.rows[1].labels == ()  # a negative of every class
    assert manifest.rows[2].labels == (Label(1, 0.0, 5.0), Label(1, 7.0, 9.0))
    assert [row.length_sec for row in manifest.rows] == [24.83, 18.33, 20.0]
    assert manifest.rows[0].actions == ((92, 11.9, 21.2), (147, 0.0, 12.6))
    assert manifest.notes == ()


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("c003 2.00 31.50", (2.0, 10.0)),
        ("c003 12.00 13.00", (10.0 - FRAME, 10.0)),
        ("c003 4.00 4.00", (4.0, 4.0 + FRAME)),
        ("c003 5.00 3.00", (5.0, 5.0 + FRAME)),
        ("c003 -1.00 3.00", (0.0, 3.0)),
    ],
)
def test_times_out_of_the_video_are_mended_and_noted_and_the_class_is_kept(
    tmp_path, action, expected
):
    """Localisation keeps them as they are."""
    write_charades(tmp_path, {"A": ("", "3.0"), "B": (f"c000 1 2;{action}", "10.00")}, {})
    manifest = read_charades(tmp_path)
    label = manifest.rows[1].labels[1]
    assert label.class_index == 3
    assert (label.start_sec, label.end_sec) == pytest.approx(expected)
    assert manifest.rows[1].actions[1] == (3, *map(float, action.split()[1:]))
    # Both scripts hold a line end: the second record begins on the file's fourth line.
    (note,) = manifest.notes
    assert note.startswith(f"{tmp_path}/Charades_v1_train.csv:4: {action!r} of a video of 10 s")


def test_one_split_may_lack(tmp_path):
    write_charades(tmp_path, {"A": ("c000 1 2", "3.0")}, {"B": ("", "3.0")})
    (tmp_path / "Charades_v1_train.csv").unlink()
    assert read_charades(tmp_path).splits() == ("test",)


@pytest.mark.parametrize(
    ("actions", "length", "message"),
    [
        ("c157 1.0 2.0", "9", r"train\.csv:2: an action is of a class .* Received: 'c157'"),
        ("c001 1.0", "9", r"train\.csv:2: an action is a class, a start and an end"),
        ("c001 1.0 x", "9", r"train\.csv:2: a time must be a number of seconds"),
        ("c001 1.0 2.0", "", r"train\.csv:2: a video has an id and a positive length"),
        ("c001 1.0 2.0", "0", r"train\.csv:2: a video has an id and a positive length"),
    ],
)
def test_mistakes_name_the_line(tmp_path, actions, length, message):
    write_charades(tmp_path, {"A": (actions, length)}, {})
    with pytest.raises(UserError, match=message):
        read_charades(tmp_path)


def test_broken_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"Charades_v1_classes\.txt"):
        read_charades(tmp_path)
    write_charades(tmp_path, {"A": ("", "3.0")}, {"A": ("", "3.0")})
    with pytest.raises(UserError, match=r"test\.csv:2: a video's id occurs once.*train\.csv:2"):
        read_charades(tmp_path)
    write_charades(tmp_path, {"A": ("", "3.0")}, {}, num_classes=156)
    with pytest.raises(UserError, match=r"has 157 classes\. Received: 156"):
        read_charades(tmp_path)
    write_charades(tmp_path, {"A": ("", "3.0")}, {})
    train = tmp_path / "Charades_v1_train.csv"
    train.write_text(train.read_text().replace("id,subject", "name,subject"))
    with pytest.raises(UserError, match=r"train\.csv:1: the header must name .*Add 'id'"):
        read_charades(tmp_path)
    train.write_text(train.read_text().replace("name,", "id,") + 'B,"open\n')
    with pytest.raises(UserError, match=r"train\.csv:4: the record that begins here is not csv"):
        read_charades(tmp_path)
    (tmp_path / "Charades_v1_classes.txt").write_text("c000 Holding\nc002 Sitting\n")
    with pytest.raises(UserError, match=r"classes\.txt:2: a line is a code, counted from c000"):
        read_charades(tmp_path)
