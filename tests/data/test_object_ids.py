"""The greatest object id of a video, through the file that the decoding process leaves."""

import numpy as np

from official_vision.data.object_ids import ObjectIds, read_object_ids


def test_the_greatest_id_is_counted_and_unlabelled_pixels_are_not(tmp_path):
    ids = ObjectIds()
    ids.see(None)
    for values in ([0, 3, 255], [254 - 200, 0], [255, 255]):
        ids.see(np.array([values], np.uint8))
    ids.write(tmp_path)
    assert read_object_ids(tmp_path) == 55


def test_without_ids_there_is_no_file(tmp_path):
    ids = ObjectIds()
    ids.see(np.full((2, 2), 255, np.uint8))
    ids.write(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert read_object_ids(tmp_path) == 0
