"""The sheet of samples: the right colours, and a picture of every sample."""

import dataclasses

import cv2
import numpy as np
import pytest

from official_vision.data.prepare import preview
from official_vision.data.prepare.preview import draw_preview, flow_colours, object_colours
from official_vision.data.storage.index import Index


@pytest.mark.parametrize(
    ("flow", "colour"),
    [
        ((0, 0), (255, 255, 255)),
        ((4, 0), (255, 0, 0)),  # right is red
        ((-4, 0), (0, 255, 255)),  # left is its complement
        ((0, 4), (128, 255, 0)),  # down, a quarter turn on
        ((2, 0), (255, 128, 128)),  # half the speed, half the saturation
    ],
)
def test_hue_is_direction_and_saturation_is_speed(flow, colour):
    pixels = np.broadcast_to(np.float32(flow), (3, 4, 2))
    actual = flow_colours(pixels, full_scale=4.0)
    assert actual.dtype == np.uint8
    assert np.abs(actual.astype(int) - colour).max() <= 6


def test_the_fastest_pixel_sets_the_scale_but_noise_stays_pale():
    flow = np.zeros((1, 2, 2), np.float32)
    flow[0, 1] = [10, 0]
    assert flow_colours(flow)[0, 1].tolist() == [255, 0, 0]
    assert flow_colours(flow / 100).min() > 220


def test_objects_have_colours_and_none_is_black():
    colours = object_colours(np.arange(8, dtype=np.uint8)[np.newaxis])[0]
    assert colours[0].tolist() == [0, 0, 0]
    assert len({tuple(c) for c in colours.tolist()}) == 8


def test_a_sheet_shows_the_samples(make_split, stored_videos, tmp_path):
    folder, _ = make_split(stored_videos(9, length=3))
    path = tmp_path / "sheet.png"
    draw_preview(folder.parent, folder.name, path)
    sheet = cv2.imread(str(path))
    greys = {tuple(c) for c in sheet.reshape(-1, 3).tolist() if c[0] == c[1] == c[2]}
    # Six of nine videos; frames 0 and 2 of the first and the last are among the greys.
    for grey in (0, 2, 80, 82):
        assert any(abs(c[0] - grey) <= 1 for c in greys)
    again = tmp_path / "again.png"
    draw_preview(folder.parent, folder.name, again)
    assert again.read_bytes() == path.read_bytes()


def test_a_split_with_one_video_can_be_drawn(make_split, stored_videos, tmp_path):
    folder, _ = make_split(stored_videos(1, length=1))
    draw_preview(folder.parent, folder.name, tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] > 500


def test_the_legend_names_what_is_shown_the_commonest_first(make_split, stored_videos):
    """The stored ids' names are the index's; an id without a name is shown by its number."""
    folder, _ = make_split(stored_videos(2, length=2))
    index = Index.read(folder)
    assert "objects" in index.streams
    frames = [np.full((4, 4), 1, np.uint8), np.zeros((4, 4), np.uint8)]
    frames[0][0] = 200
    encoded = [cv2.imencode(".png", image)[1].tobytes() for image in frames]
    one, other = ({"rgb": [e], "objects": [e], "flow_bound": 20.0} for e in encoded)
    index = dataclasses.replace(index, object_classes=("none", "person"))
    keys = preview._legend([preview._decoded([one, one, one, other], ("rgb", "objects"))], index)
    # Four columns: frames 0, 0, 0 and 1 of two.
    assert [key.get_label() for key in keys] == ["person", "none", "id 200"]
    expected = object_colours(np.uint8([[1, 0, 200]]))[0] / 255
    np.testing.assert_allclose([key.get_facecolor()[:3] for key in keys], expected)
