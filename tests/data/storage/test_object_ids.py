"""The greatest object id of a video."""

import numpy as np

from official_vision.data.storage.object_ids import ObjectIds


def test_the_greatest_id_is_counted_and_unlabelled_pixels_are_not():
    ids = ObjectIds()
    ids.see(None)
    ids.see(np.full((2, 2), 255, np.uint8))
    assert ids.count == 0
    for values in ([0, 3, 255], [54, 0], [255, 255]):
        ids.see(np.array([values], np.uint8))
    assert ids.count == 55
