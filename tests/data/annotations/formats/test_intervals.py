"""Files with a row for each time that a class is there: any data set's, and MultiTHUMOS's."""

import pytest

from official_vision.data.annotations.formats import READERS
from official_vision.data.annotations.manifest import Label
from official_vision.data.annotations.stated_times import stated_times
from official_vision.errors import UserError
from tests.data.annotations.formats.official_files import write_charades, write_multithumos

HEADER = "video,class,start,end,length,split\n"


def write(folder, *rows, header=HEADER):
    path = folder / "intervals.csv"
    path.write_text(header + "".join(f"{row}\n" for row in rows))
    return path


def test_rows_of_a_video_may_lie_anywhere(tmp_path):
    path = write(
        tmp_path,
        "b.mp4,run,0,2.5,10,train",
        "sub/a.mp4,,,,4,validation",
        "b.mp4,jump,9,12,10,train",
        "b.mp4,run,0,2.5,10,train",
    )
    manifest = READERS["intervals"](path)
    assert manifest.classes == ("jump", "run")
    first, second = manifest.rows
    assert (first.id, first.path, first.split, first.length_sec) == ("b.mp4", "b.mp4", "train", 10)
    assert first.labels == (Label(1, 0.0, 2.5), Label(0, 9.0, 12.0))
    assert first.actions == ((1, 0.0, 2.5), (0, 9.0, 12.0), (1, 0.0, 2.5))
    assert (second.labels, second.length_sec, second.split) == ((), 4.0, "validation")


def test_lengths_may_lack(tmp_path):
    path = write(tmp_path, "a.mp4,run,1,2", header="video,class,start,end\n")
    (row,) = READERS["intervals"](path).rows
    assert (row.length_sec, row.actions, row.labels) == (None, (), (Label(0, 1.0, 2.0),))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["a.mp4,run,1,2,9,train", "a.mp4,run,3,4,8,train"], r"csv:3: all rows .* one length"),
        (["a.mp4,run,1,,9,train"], r"csv:2: a row has a class, a start and an end"),
        (["a.mp4,run,2,1,9,train"], r"csv:2: a span needs 0 <= start < end"),
        ([",run,1,2,9,train"], r"csv:2: a row names a video"),
        (["a.mp4,run,1,2,0,train"], r"csv:2: a length is a positive number"),
        (["a.mp4,run,1,2,9"], r"csv:2: a line has a value for every column"),
    ],
)
def test_mistakes_name_the_line(tmp_path, rows, words):
    with pytest.raises(UserError, match=words):
        READERS["intervals"](write(tmp_path, *rows))


def test_multithumos(tmp_path):
    """A file per class; what lasts no time is left out and noted."""
    videos = {
        "video_test_0000004": [(3, 1.5, 4.0)],
        "video_validation_0000266": [(0, 2, 3), (3, 5, 5)],
    }
    manifest = READERS["multithumos"](write_multithumos(tmp_path, videos))
    assert len(manifest.classes) == 65
    assert [(row.id, row.path, row.split, row.labels) for row in manifest.rows] == [
        ("video_test_0000004", "video_test_0000004.mp4", "validation", (Label(3, 1.5, 4.0),)),
        (
            "video_validation_0000266",
            "video_validation_0000266.mp4",
            "train",
            (Label(0, 2.0, 3.0),),
        ),
    ]
    (note,) = manifest.notes
    assert "'video_validation_0000266 5 5' lasts no time" in note
    (tmp_path / "Act07.txt").write_text("video_test_0000004 1.5\n")
    with pytest.raises(UserError, match=r"Act07\.txt:1: a line is a video, a start and an end"):
        READERS["multithumos"](tmp_path)
    (tmp_path / "Act07.txt").unlink()
    with pytest.raises(UserError, match=r"has 65 classes\. Received: 64"):
        READERS["multithumos"](tmp_path)


def test_times_are_read_without_videos(tmp_path):
    """Of Charades' csv file; test_evaluate.py reads those of a prepared split."""
    write_charades(tmp_path, {"A": ("c001 5 99", "3.5")}, {"B": ("c002 -1 2;c002 4 3", "9")})
    classes, times = stated_times(tmp_path / "Charades_v1_test.csv")
    assert len(classes) == 157
    assert times == [("B", 9.0, ((2, -1.0, 2.0), (2, 4.0, 3.0)))]
    assert stated_times(tmp_path / "Charades_v1_train.csv")[1] == [("A", 3.5, ((1, 5.0, 99.0),))]
    with pytest.raises(UserError, match=r"or of Charades_v1_train\.csv or Charades_v1_test\.csv"):
        stated_times(tmp_path / "Charades_v1_classes.txt")
