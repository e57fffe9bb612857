"""Labels of frames: they follow the clip in time, whatever is cut; and windows hold all of a video."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision.data.input.pipeline import build_dataset, build_windows
from official_vision.data.storage.shard_writer import StoredVideo
from official_vision.specs import DataSpec

LENGTH, FPS = 8, 25.0


@pytest.fixture
def split(make_split, encoded_frames):
    """Frame t of video n is grey 10 n + t; "a" is in frames 2 to 4, "b" in 4 and from 6 on.

    Records count videos that were left out: the third is the split's second.
    """
    labels = [
        (0, "a", 2 / FPS, 5 / FPS),
        (1, "b", 4 / FPS, 5 / FPS),
        (1, "b", 6 / FPS, -1.0),
    ]
    lengths = {0: LENGTH, 2: LENGTH, 3: 3}
    return make_split(
        [
            StoredVideo(f"v{n}", n, FPS, labels, 20.0, encoded_frames(length, 16, 24, number=n))
            for n, length in lengths.items()
        ]
    )


def shown_in(features, videos):
    """The numbers of the frames that clips show, read from their grey."""
    numbers = np.array([0, 2, 3])[videos]
    return features["rgb"][:, :, 3, 5, 0].astype(int) - 10 * numbers[:, np.newaxis]


def of_frames(shown):
    return np.stack([(2 <= shown) & (shown <= 4), (shown == 4) | (shown >= 6)], axis=-1)


@pytest.mark.parametrize("stride", [1, 2])
def test_frames_of_training_clips_have_their_own_labels(split, stride):
    """Wherever the clip begins, however it is cut and mirrored; the third video is looped."""
    folder, index = split
    spec = DataSpec(
        path=str(folder), batch_size=3, frames=4, frame_stride=stride, size=16, min_crop_area=0.6
    )
    starts = set()
    dataset = build_dataset(spec, index, ("rgb",), training=True, frame_labels=True).take(8)
    for features, targets in dataset.as_numpy_iterator():
        shown = shown_in(features, targets["video"])
        assert targets["frame_labels"].dtype == np.float32
        np.testing.assert_array_equal(targets["frame_labels"], of_frames(shown))
        starts |= set(shown[targets["video"] < 2][:, 0])
        assert set(shown[targets["video"] == 2].ravel()) <= {0, 1, 2}
    assert starts == set(range(LENGTH - 3 * stride))


@pytest.mark.parametrize("stride", [1, 2])
def test_windows_hold_all_stored_frames(split, stride):
    folder, index = split
    spec = DataSpec(path=str(folder), batch_size=4, frames=2, frame_stride=stride, size=16)
    places = [(0, 0), (0, 3), (1, LENGTH - 2 * stride), (2, 0), (2, 1)]
    batches = [*build_windows(spec, index, ("rgb",), places).as_numpy_iterator()]
    features, targets = (
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for parts in zip(*batches, strict=True)
    )
    assert targets["mask"].tolist() == [1.0] * 5 + [0.0] * 3
    real = {name: values[:5] for name, values in targets.items()}
    assert [*zip(real["video"].tolist(), real["start"].tolist(), strict=True)] == places
    features = {name: values[:5] for name, values in features.items()}
    np.testing.assert_array_equal(real["shown"], shown_in(features, real["video"]))
    lengths = np.array([LENGTH, LENGTH, 3])[real["video"]]
    for row, length in enumerate(lengths):
        first = real["start"][row]
        stored = np.minimum(first + np.arange(2 * stride), length - 1)
        np.testing.assert_array_equal(real["labels"][row], of_frames(stored))
        ends = np.minimum(first + np.arange(2 * stride + 1), length)
        np.testing.assert_allclose(real["times"][row], ends / FPS, rtol=1e-6)


def test_pipelines_share_the_windows(split):
    folder, index = split
    spec = DataSpec(path=str(folder), batch_size=2, frames=2, size=16)
    places = [(0, start) for start in range(5)]
    seen = []
    for number in range(2):
        context = tf.distribute.InputContext(2, number, 2)
        batches = build_windows(spec, index, ("rgb",), places, input_context=context)
        rows = [*batches.unbatch().as_numpy_iterator()]
        assert len(rows) == 3  # one is filling in the second
        seen += [int(targets["start"]) for _, targets in rows if targets["mask"]]
    assert sorted(seen) == list(range(5))


def test_a_clips_video_is_its_place_among_those_that_were_prepared(split):
    folder, index = split
    spec = DataSpec(path=str(folder), batch_size=3, frames=4, size=16)
    ((_, targets),) = build_dataset(spec, index, ("rgb",), training=False).take(1)
    assert targets["video"].numpy().tolist() == [0, 1, 2]
    assert set(targets) == {"labels", "mask", "video"}  # without frame_labels=True
