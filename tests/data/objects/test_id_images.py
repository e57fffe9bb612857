"""Ready-made ids: one PNG per frame, matched by the frame's number in the file."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from official_vision.data.objects import object_source
from official_vision.data.objects.id_images import IdImages
from official_vision.data.video import Frame, VideoError
from official_vision.data.video_streams import video_streams
from official_vision.specs import PrepareSpec


def write(folder, number, ids, palette=False):
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(ids)
    if palette:
        image.putpalette([(37 * i) % 256 for i in range(768)])
    image.save(folder / f"{number:05d}.png")


def frame(number=0, height=4, width=6):
    return Frame(np.zeros((height, width, 3), np.uint8), 0.0, number)


IDS = np.random.default_rng(0).integers(0, 256, (4, 6), np.uint8)


@pytest.mark.parametrize("kind", ["grey", "palette", "16 bits"])
def test_ids_are_read_as_they_are(tmp_path, kind):
    ids = IDS.astype(np.uint16) if kind == "16 bits" else IDS
    write(tmp_path / "v", 1, ids, palette=kind == "palette")
    actual = IdImages(tmp_path / "v")(frame())
    assert actual.dtype == np.uint8
    np.testing.assert_array_equal(actual, IDS)


def test_larger_images_are_resized_by_the_nearest_pixel(tmp_path):
    write(tmp_path / "v", 1, IDS.repeat(3, axis=0).repeat(3, axis=1))
    np.testing.assert_array_equal(IdImages(tmp_path / "v")(frame()), IDS)


def test_images_follow_frames_through_retiming(tmp_path, write_mp4):
    """At half the rate every second frame is taken, and so is every second image."""
    video = write_mp4(tmp_path / "a.mp4", [np.zeros((32, 48, 3), np.uint8)] * 9)
    for number in range(9):
        write(tmp_path / "ids" / "a", number, np.full((32, 48), number, np.uint8))
    spec = PrepareSpec(objects=f"png:{tmp_path}/ids")
    items = video_streams(
        video,
        short_side=None,
        fps=12.5,
        flow="none",
        objects=object_source(spec, "a.mp4"),
    )
    assert [int(item.objects[0, 0]) for item in items] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(("images", "allowed"), [(5, True), (6, False), (4, False)])
@pytest.mark.parametrize("fps", [None, 12.5])
def test_there_is_an_image_for_each_frame_and_no_more(tmp_path, write_mp4, images, allowed, fps):
    video = write_mp4(tmp_path / "a.mp4", [np.zeros((32, 48, 3), np.uint8)] * 5)
    for number in range(images):
        write(tmp_path / "ids" / "a", number, np.zeros((32, 48), np.uint8))
    source = object_source(PrepareSpec(objects=f"png:{tmp_path}/ids"), "a.mp4")
    items = video_streams(video, short_side=None, fps=fps, flow="none", objects=source)
    if allowed:
        assert len(list(items)) == (5 if fps is None else 3)
        return
    with pytest.raises(VideoError, match=f"There are {images}; the video has"):
        list(items)


@pytest.mark.parametrize(
    ("ids", "number", "message"),
    [
        (IDS, 1, "There are 1; the video has a frame 2"),
        (IDS[:, :3], 0, "must have the aspect"),
        (IDS.astype(np.uint16) + 256, 0, "at most 255"),
        (np.zeros((4, 6, 3), np.uint8), 0, "grey or have a palette"),
    ],
)
def test_mistakes_name_the_file(tmp_path, ids, number, message):
    write(tmp_path / "v", 0, ids)
    with pytest.raises(VideoError, match=f"(?s){tmp_path}/v.*{message}"):
        IdImages(tmp_path / "v")(frame(number))


def test_a_missing_folder_and_a_broken_image_are_named(tmp_path):
    with pytest.raises(VideoError, match="There is none"):
        IdImages(tmp_path / "v")
    write(tmp_path / "v", 0, IDS)
    (tmp_path / "v" / "00000.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(VideoError, match=r"00000\.png: not a readable PNG"):
        IdImages(tmp_path / "v")(frame())
