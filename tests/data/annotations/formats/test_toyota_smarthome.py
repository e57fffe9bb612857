"""Toyota Smarthome's names, and the persons and cameras of its three protocols."""

import pytest

from official_vision.data.annotations.formats import READERS
from official_vision.errors import UserError

read = READERS["toyota_smarthome"]
PERSONS = (2, 3, 4, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 25)
TRAINING = {3, 4, 6, 7, 9, 12, 13, 15, 17, 19, 25}
NOTES_ASIDE = ("1 files without a video's ending are passed over, notes.txt the first",)
CLASSES = {"cs": 31, "cv1": 19, "cv2": 19}


@pytest.fixture
def folder(tmp_path):
    """A video of each person and camera, Walk, and one activity that cross view leaves aside."""
    for person in PERSONS:
        for camera in range(1, 8):
            (tmp_path / f"Walk_p{person:02d}_r00_v02_c{camera:02d}.mp4").touch()
    (tmp_path / "Cook.Cleandishes_p03_r00_v02_c01.mp4").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "._Walk_p02_r00_v02_c01.mp4").touch()  # as macOS makes them
    return tmp_path


def test_cross_subject(folder):
    manifest = read(folder, "cs")
    assert len(manifest.rows) == 18 * 7 + 1
    for row in manifest.rows:
        person = int(row.path.split("_p")[1][:2])
        assert row.split == ("train" if person in TRAINING else "test")
        assert row.group == f"person {person}"
        assert row.path.startswith(manifest.classes[row.labels[0].class_index] + "_")
    assert manifest.notes == NOTES_ASIDE


@pytest.mark.parametrize(("protocol", "training"), [("cv1", {1}), ("cv2", {1, 3, 4, 6, 7})])
def test_cross_view(folder, protocol, training):
    manifest = read(folder, protocol)
    split_of = {int(row.path[-6:-4]): row.split for row in manifest.rows}
    assert split_of == {**dict.fromkeys(training, "train"), 5: "validation", 2: "test"}
    left_aside = {
        *NOTES_ASIDE,
        "1 videos of activity Cook.Cleandishes are not part of protocol " + protocol,
        *(
            f"18 videos of camera {camera} are not part of protocol {protocol}"
            for camera in {1, 2, 3, 4, 5, 6, 7} - training - {2, 5}
        ),
    }
    assert set(manifest.notes) == left_aside


@pytest.mark.parametrize("protocol", CLASSES)
def test_classes_are_in_the_order_of_the_alphabet(folder, protocol):
    classes = read(folder, protocol).classes
    assert (len(classes), list(classes)) == (CLASSES[protocol], sorted(set(classes)))


def test_mistakes(folder):
    with pytest.raises(UserError, match=r"protocol must be one of cs, cv1, cv2.*Received: ''"):
        read(folder)
    with pytest.raises(UserError, match="which is no folder"):
        read(folder / "notes.txt", "cs")
    for name in ("Walk_p03_r00_v02.mp4", "Wlak_p03_r00_v02_c01.mp4"):
        (folder / name).touch()
        with pytest.raises(UserError, match=rf"{name}: a video is named <activity>_pXX"):
            read(folder, "cs")
        (folder / name).unlink()
