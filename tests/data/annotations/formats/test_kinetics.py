"""Kinetics' official files and the lists of other toolboxes."""

import pytest

from official_vision.data.annotations.formats import READERS
from official_vision.data.annotations.formats.kinetics import NUM_CLASSES
from official_vision.data.annotations.manifest import Label
from official_vision.errors import UserError
from tests.data.annotations.formats.official_files import write_kinetics

read = READERS["kinetics"]


@pytest.mark.parametrize("num_classes", NUM_CLASSES)
def test_official_files(tmp_path, num_classes):
    write_kinetics(tmp_path, num_classes, [(num_classes - 1, "-abc_DEF-12")])
    (tmp_path / "test.csv").write_text(
        "youtube_id,time_start,time_end,split\nzzzzzzzzzzz,125,135,test\n"
    )
    manifest = read(tmp_path)
    assert (len(manifest.classes), manifest.classes[7]) == (num_classes, "doing thing 007")
    assert {split: len(manifest.rows_of(split)) for split in manifest.splits()} == {
        "train": num_classes,
        "validation": 1,
        "test": 1,
    }
    (row,) = manifest.rows_of("validation")
    # The file is the part that the times name: it is used from its start to its end.
    assert (row.path, row.start_sec, row.end_sec) == ("-abc_DEF-12_000005_000015.mp4", None, None)
    assert (row.labels, row.group) == ((Label(num_classes - 1),), "-abc_DEF-12")
    (row,) = manifest.rows_of("test")
    assert (row.id, row.labels) == ("zzzzzzzzzzz_000125_000135", ())


@pytest.mark.parametrize("place", ["", "val/", "doing thing 002/", "val/doing_thing_002/"])
def test_clips_are_found_where_people_keep_them(tmp_path, place):
    write_kinetics(tmp_path, 400, [(2, "abc")])
    clip = tmp_path / "videos" / place / "abc_000005_000015.mp4"
    clip.parent.mkdir(parents=True)
    clip.touch()
    (row,) = read(tmp_path, videos=tmp_path / "videos").rows_of("validation")
    assert tmp_path / "videos" / row.path == clip


def test_a_part_of_the_classes_needs_the_list_of_all(tmp_path):
    write_kinetics(tmp_path, 399)
    with pytest.raises(UserError, match=r"has 400 or 600 or 700 classes\. Received: 399"):
        read(tmp_path)
    (tmp_path / "classes.txt").write_text("".join(f"doing thing {n:03d}\n" for n in range(400)))
    assert len(read(tmp_path).classes) == 400


def test_lists_of_other_toolboxes(tmp_path):
    (tmp_path / "kinetics400_train_list_videos.txt").write_text(
        "a/b c.mp4 2\nd, e.mp4,0\nf.mp4 -1\n"
    )
    (tmp_path / "kinetics400_val_list_videos.txt").write_text("a/b c.mp4 1\n")
    manifest = read(tmp_path)
    assert manifest.classes == ("0", "1", "2")
    assert [(row.path, row.split, row.labels) for row in manifest.rows] == [
        ("a/b c.mp4", "train", (Label(2),)),
        ("d, e.mp4", "train", (Label(0),)),
        ("f.mp4", "train", ()),
        ("a/b c.mp4", "validation", (Label(1),)),
    ]
    (tmp_path / "classes.txt").write_text("run\njump\n")
    with pytest.raises(
        UserError, match=r"train_list_videos\.txt:1: a class's number is from 0 to 1"
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run,,1,11,train,0", r"train\.csv:2: a row names a youtube_id"),
        ("run,abc,11,1,train,0", r"train\.csv:2: a row names a youtube_id"),
        ("run,abc,x,11,train,0", r"train\.csv:2: a time is in seconds"),
        ("run,abc,1,11,train", r"train\.csv:2: .*5 values for 6 columns"),
        ('run,"abc,1,11', r"train\.csv:2: the record that begins here is not csv"),
    ],
)
def test_mistakes_name_the_line(tmp_path, line, message):
    path = tmp_path / "train.csv"
    path.write_text(f"label,youtube_id,time_start,time_end,split,is_cc\n{line}\n")
    with pytest.raises(UserError, match=message):
        read(path)


def test_files_are_needed(tmp_path):
    with pytest.raises(UserError, match="which has none"):
        read(tmp_path)
