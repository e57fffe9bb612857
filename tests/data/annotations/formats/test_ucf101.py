"""UCF101's files: classes from 1, labels in the training list only."""

import pytest

from official_vision.data.annotations.formats import READERS
from official_vision.data.annotations.manifest import Label
from official_vision.errors import UserError
from tests.data.annotations.formats.official_files import write_ucf101

read = READERS["ucf101"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_official_files(tmp_path, number):
    write_ucf101(tmp_path, [(1, 8, 1), (101, 9, 2)], [(2, 1, 1)], split_number=number)
    manifest = read(tmp_path, str(number))
    assert (len(manifest.classes), manifest.classes[100]) == (101, "Sport101")
    assert [(row.path, row.split, row.labels, row.group) for row in manifest.rows] == [
        ("Sport1/v_Sport1_g08_c01.avi", "train", (Label(0),), "Sport1 group 08"),
        ("Sport101/v_Sport101_g09_c02.avi", "train", (Label(100),), "Sport101 group 09"),
        ("Sport2/v_Sport2_g01_c01.avi", "test", (Label(1),), "Sport2 group 01"),
    ]


def test_the_class_is_the_folder_where_the_file_is_spelt_otherwise(tmp_path):
    """As in HandstandPushups/v_HandStandPushups_g01_c01.avi."""
    write_ucf101(tmp_path, [(1, 8, 1)], [])
    (tmp_path / "trainlist01.txt").write_text("Sport4/v_SPort4_g01_c01.avi 4\n")
    (row,) = read(tmp_path, "1").rows
    assert (row.labels, row.path) == ((Label(3),), "Sport4/v_SPort4_g01_c01.avi")


@pytest.mark.parametrize(
    "line", ["Sport4/v_Sport4_g01_c01.avi 5", "Sprt4/v_Sport4_g01_c01.avi 4", "a.avi"]
)
def test_mistakes_name_the_line(tmp_path, line):
    write_ucf101(tmp_path, [(1, 8, 1)], [])
    (tmp_path / "trainlist01.txt").write_text(f"Sport1/v_Sport1_g08_c01.avi 1\n{line}\n")
    with pytest.raises(UserError, match=r"trainlist01\.txt:2: a line is <class of classInd"):
        read(tmp_path, "1")


def test_files_and_split_are_needed(tmp_path):
    write_ucf101(tmp_path, [(1, 8, 1)], [])
    with pytest.raises(UserError, match="must be one of 1, 2, 3"):
        read(tmp_path)
    with pytest.raises(UserError, match=r"trainlist02\.txt and testlist02\.txt"):
        read(tmp_path, "2")
    write_ucf101(tmp_path, [(1, 8, 1)], [], num_classes=100)
    with pytest.raises(UserError, match=r"has 101 classes\. Received: 100"):
        read(tmp_path, "1")
