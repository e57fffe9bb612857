"""A known motion through the whole of feeding: flow still leads every pixel to the next frame."""

import cv2
import numpy as np
import pytest

from official_vision.data.input.pipeline import build_dataset
from official_vision.data.optical_flow import quantise
from official_vision.data.storage.shard_writer import StoredVideo
from official_vision.specs import DataSpec

HEIGHT, WIDTH, FRAMES = 64, 80, 4
SHIFT = np.array([2.0, -1.0])  # pixels per frame: right and up
BOUND = 4.0


@pytest.fixture
def split(make_split, texture):
    """Four videos of different textures and colours that all move by SHIFT."""
    codes = quantise(np.broadcast_to(np.float32(SHIFT), (HEIGHT, WIDTH, 2)), BOUND)
    flow = cv2.imencode(".png", np.concatenate([codes[..., 0], codes[..., 1]]))[1].tobytes()
    videos = []
    for number in range(4):
        picture = np.stack(
            [texture(HEIGHT + 20, WIDTH + 20, 3 * number + c, blur=4.0) for c in range(3)], -1
        )
        frames = {"rgb": [], "flow": [flow] * FRAMES}
        for time in range(FRAMES):
            x, y = np.int64(10 - SHIFT * time)
            cut = picture[y : y + HEIGHT, x : x + WIDTH]
            settings = [cv2.IMWRITE_JPEG_QUALITY, 98]
            frames["rgb"].append(cv2.imencode(".jpg", cut, settings)[1].tobytes())
        frames["objects"] = [cv2.imencode(".png", cut[..., 0])[1].tobytes()] * FRAMES
        videos.append(StoredVideo(f"v{number}", number, 25.0, [], BOUND, frames))
    return make_split(videos)


def warp_error(rgb, flow):
    """Mean difference of frames 0 to 2 from the next one, sampled where the flow leads."""
    rows, columns = np.indices(rgb.shape[1:3], np.float32)
    errors = []
    for first, second, motion in zip(rgb[:-1], rgb[1:], flow[:-1], strict=True):
        x, y = columns + motion[..., 0], rows + motion[..., 1]
        size = first.shape[0]
        inside = (x >= 0) & (x <= size - 1) & (y >= 0) & (y <= size - 1)
        led = cv2.remap(second.astype(np.float32), x, y, cv2.INTER_LINEAR)
        errors.append(np.abs(led - first)[inside].mean())
    return np.mean(errors)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.2},
        {"rand_augment_layers": 2},
        {"mixup_alpha": 1.0},
        {"cutmix_alpha": 1.0},
        {"objects_dropout": 0.5, "short_video": "hold"},
    ],
    ids=lambda settings: next(iter(settings), "none"),
)
def test_flow_leads_to_the_next_frame(split, settings):
    folder, index = split
    spec = DataSpec(
        path=str(folder),
        batch_size=4,
        frames=FRAMES,
        size=48,
        min_crop_area=0.4,
        seed=2,
        **settings,
    )
    still, led = [], []
    dataset = build_dataset(spec, index, ("rgb", "flow", "objects"), training=True)
    for features, _ in dataset.take(2).as_numpy_iterator():
        for rgb, flow in zip(features["rgb"], features["flow"], strict=True):
            still.append(warp_error(rgb, np.zeros_like(flow)))
            led.append(warp_error(rgb, flow))
    # Mixing crops of different sizes and flips mixes motions; a box has borders that don't move.
    bound = {"mixup_alpha": 0.75, "cutmix_alpha": 0.5}.get(next(iter(settings), ""), 0.3)
    assert np.mean(led) < bound * np.mean(still)
