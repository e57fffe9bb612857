"""Moments in Time's files: categories in any order, no header, the class in the path."""

import pytest

from official_vision.data.annotations.formats import READERS
from official_vision.data.annotations.formats.moments_in_time import NUM_CLASSES
from official_vision.data.annotations.manifest import Label
from official_vision.errors import UserError
from tests.data.annotations.formats.official_files import write_moments_in_time

read = READERS["moments_in_time"]


@pytest.mark.parametrize("num_classes", NUM_CLASSES)
@pytest.mark.parametrize("place", ["", "training/"])
def test_official_files(tmp_path, num_classes, place):
    write_moments_in_time(tmp_path, [(5, "a-1.mp4")], [(0, "a-1.mp4")], num_classes)
    clip = tmp_path / "videos" / place / "doing+5" / "a-1.mp4"
    clip.parent.mkdir(parents=True)
    clip.touch()
    manifest = read(tmp_path, videos=tmp_path / "videos")
    assert (len(manifest.classes), manifest.classes[5]) == (num_classes, "doing+5")
    assert [(row.split, row.labels) for row in manifest.rows] == [
        ("train", (Label(5),)),
        ("validation", (Label(0),)),
    ]
    assert tmp_path / "videos" / manifest.rows[0].path == clip


def test_mistakes_name_the_line(tmp_path):
    write_moments_in_time(tmp_path, [(5, "a.mp4"), (400, "b.mp4")], [], 401)
    with pytest.raises(UserError, match=r"has 339 or 305 classes\. Received: 401"):
        read(tmp_path)
    write_moments_in_time(tmp_path / ".", [(5, "a.mp4")], [])
    (tmp_path / "trainingSet.csv").write_text("doing+1/a.mp4,doing+1,3,0\ndoing+999/a.mp4,x,3,0\n")
    with pytest.raises(UserError, match=r"trainingSet\.csv:2: a line begins with"):
        read(tmp_path)
    categories = tmp_path / "moments_categories.txt"
    categories.write_text("a,0\nb,2\n")
    with pytest.raises(UserError, match="count from 0 without gaps"):
        read(tmp_path)
    categories.write_text("a,0\nb,0\n")
    with pytest.raises(UserError, match=r"categories\.txt:2: a line is name,index"):
        read(tmp_path)
    categories.unlink()
    with pytest.raises(UserError, match=r"moments_categories\.txt"):
        read(tmp_path)
