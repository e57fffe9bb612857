"""Batches: whole epochs, exact resumption, fair sharing, masked filling, aligned streams."""

import collections
import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf

from official_vision.data.input.pipeline import build_dataset, read_index
from official_vision.data.optical_flow import quantise
from official_vision.data.storage.shard_writer import StoredVideo
from official_vision.errors import UserError
from official_vision.specs import DataSpec

STREAMS = ("rgb", "flow", "objects")
VIDEOS = 7


@pytest.fixture(scope="module")
def plain():
    """Settings of clips that are easy to predict: 16 x 16 out of 16 x 24, no flip."""
    return DataSpec(batch_size=2, frames=4, size=16, flip=False, min_crop_area=1.0, seed=5)


@pytest.fixture
def split(make_split, stored_videos):
    return make_split(stored_videos(VIDEOS, flow=(3.0, -2.0)))


def batches(split, spec, *, training, streams=("rgb",), count=None, context=None, start_step=0):
    folder, index = split
    spec = dataclasses.replace(spec, path=str(folder))
    dataset = build_dataset(
        spec, index, streams, training=training, input_context=context, start_step=start_step
    )
    if count is not None:
        dataset = dataset.take(count)
    return list(dataset.as_numpy_iterator())


def videos_of(fed):
    return [int(v) for _, targets in fed for v in targets["video"]]


def assert_equal(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, other)


# Training.


def test_every_epoch_has_every_video_once(split, plain):
    order = videos_of(batches(split, plain, training=True, count=2 * VIDEOS))
    epochs = [order[start : start + VIDEOS] for start in range(0, len(order), VIDEOS)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(VIDEOS))] * 4
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_rare_classes_are_drawn_as_often_and_go_on_so(make_split, stored_videos, plain):
    """Seven videos of one class, two of the other: by the natural order those are 2 of 9 draws."""
    videos = [
        dataclasses.replace(video, labels=[(int(n > 6), "ab"[n > 6], -1.0, -1.0)])
        for n, video in enumerate(stored_videos(9))
    ]
    split, spec = make_split(videos), dataclasses.replace(plain, class_sampling="balanced")
    fed = batches(split, spec, training=True, count=18)
    rare = np.concatenate([targets["labels"][:, 1] for _, targets in fed]).reshape(4, 9)
    assert set(rare.sum(axis=1)) <= {4, 5}
    assert {*videos_of(fed)} == set(range(9))
    assert_equal(batches(split, spec, training=True, count=7, start_step=11), fed[11:])


@pytest.mark.slow
def test_a_resumed_run_sees_what_it_would_have_seen(split, plain):
    """Also under another global seed, which a resumed run sets; 11 steps pass over three epochs."""
    spec = dataclasses.replace(plain, min_crop_area=0.3, flip=True)
    tf.random.set_seed(1)
    undisturbed = batches(split, spec, training=True, streams=STREAMS, count=16)
    tf.random.set_seed(2)
    for step in (3, 11):
        resumed = batches(split, spec, training=True, streams=STREAMS, count=5, start_step=step)
        assert_equal(resumed, undisturbed[step : step + 5])


@pytest.mark.slow
def test_a_resumed_run_is_changed_and_mixed_as_it_would_have_been(split, plain):
    """Every random choice at once, over two pipelines, of which the second resumes."""
    spec = dataclasses.replace(
        plain,
        batch_size=4,
        brightness=0.4,
        rand_augment_layers=1,
        mixup_alpha=0.4,
        cutmix_alpha=0.4,
        flow_dropout=0.4,
    )
    seen = []
    for number in range(2):
        context = tf.distribute.InputContext(2, number, 2)
        tf.random.set_seed(1)
        whole = batches(split, spec, training=True, streams=STREAMS, count=6, context=context)
        seen += [targets["labels"].tobytes() for _, targets in whole]
        for features, targets in whole:
            # Every video has one label, and shares of two make one.
            np.testing.assert_allclose(targets["labels"].sum(1), 1, rtol=1e-6)
            assert set(features) == set(STREAMS)
    assert len(set(seen)) > 6
    tf.random.set_seed(2)
    resumed = batches(
        split, spec, training=True, streams=STREAMS, count=2, context=context, start_step=4
    )
    assert_equal(resumed, whole[4:])


def test_the_seed_changes_order_and_crops(split, plain):
    seeded = [
        batches(split, dataclasses.replace(plain, seed=seed), training=True, count=VIDEOS)
        for seed in (0, 1)
    ]
    assert videos_of(seeded[0]) != videos_of(seeded[1])


@pytest.mark.slow
def test_pipelines_share_every_epoch_without_overlap_or_loss(split, plain):
    """Seven videos over three pipelines: together they see what one alone would see."""
    spec = dataclasses.replace(plain, batch_size=6)
    alone = batches(split, spec, training=True, count=14)
    shares = []
    for number in range(3):
        context = tf.distribute.InputContext(3, number, 3)
        shares.append(videos_of(batches(split, spec, training=True, count=14, context=context)))
    assert [v for row in zip(*shares, strict=True) for v in row] == videos_of(alone)


def test_pipelines_draw_different_random_numbers(make_split, stored_videos, plain):
    """Records are numbered before they are shared out: no two clips of a step have one crop."""
    split = make_split([dataclasses.replace(v, id=f"w{v.video}") for v in stored_videos(4, 40)])
    starts = collections.defaultdict(list)
    for number in range(2):
        context = tf.distribute.InputContext(2, number, 2)
        for features, targets in batches(split, plain, training=True, count=12, context=context):
            starts[number].append(features["rgb"][0, 0, 0, 0, 0] - 10 * targets["video"][0])
    assert starts[0] != starts[1]


def test_clips_are_whole_and_random(split, plain):
    """Frame t of video n is grey 10 n + t: four frames in a row from anywhere in eight."""
    seen = set()
    for features, targets in batches(split, plain, training=True, count=40):
        greys = features["rgb"][:, :, 3, 5, 0].astype(int) - 10 * targets["video"][:, np.newaxis]
        np.testing.assert_array_equal(np.diff(greys), 1)
        seen.update(greys[:, 0].tolist())
    assert seen == {0, 1, 2, 3, 4}


# All streams together.


def marked_video(length=6, height=20, width=30):
    """A bright bar that moves, flow of each of its pixels, ids that mark it."""
    frames = {name: [] for name in STREAMS}
    for time in range(length):
        bar = np.zeros((height, width), np.uint8)
        bar[:, 5 + 3 * time : 10 + 3 * time] = 1
        rgb = np.repeat(bar[..., np.newaxis] * 250, 3, axis=-1)
        flow = bar[..., np.newaxis] * np.float32([3.0, 0.0])
        codes = quantise(flow, 20.0)
        stacked = np.concatenate([codes[..., 0], codes[..., 1]])
        for name, picture, suffix in (
            ("rgb", rgb, ".jpg"),
            ("flow", stacked, ".png"),
            ("objects", bar, ".png"),
        ):
            frames[name].append(cv2.imencode(suffix, picture)[1].tobytes())
    return StoredVideo("bar", 0, 25.0, [(0, "a", -1.0, -1.0)], 20.0, frames)


def test_streams_stay_on_each_other_through_random_crops_and_flips(make_split):
    spec = DataSpec(batch_size=1, frames=3, size=32, min_crop_area=0.3, seed=1)
    signs = set()
    for features, _ in batches(
        make_split([marked_video()]), spec, training=True, streams=STREAMS, count=30
    ):
        bright = features["rgb"][0, ..., 0] > 125
        marked = features["objects"][0] == 1
        moving = np.abs(features["flow"][0, ..., 0])
        assert (bright == marked).mean() > 0.93  # but for the bar's blurred border
        if marked.sum() > 50 and not marked.all():
            assert moving[marked].mean() > 4 * moving[~marked].mean()
            signs.add(np.sign(features["flow"][0, ..., 0][marked].mean()))
            # The bar's middle moves as far as its flow.
            columns = [np.flatnonzero(row.any(0)) for row in marked]
            if all(len(c) and c[0] > 0 and c[-1] < 31 for c in columns):
                moved = columns[1].mean() - columns[0].mean()
                assert abs(moved - np.median(features["flow"][0, 0][marked[0]][:, 0])) < 1.6
    assert signs == {-1.0, 1.0}


def test_flow_over_skipped_frames_is_their_sum(make_split, encoded_frames, plain):
    """Flows of frames 0 to 7 are t, -t/2: every second frame is used, its flow leads to the next one."""
    frames = encoded_frames(8, 16, 24)
    flows = [(float(t), -t / 2) for t in range(8)]
    frames["flow"] = [encoded_frames(1, 16, 24, flow=flow)["flow"][0] for flow in flows]
    split = make_split([StoredVideo("a", 0, 25.0, [], 20.0, frames)])
    spec = dataclasses.replace(plain, batch_size=1, frames=4, frame_stride=2)
    ((features, _),) = batches(split, spec, training=False, streams=("rgb", "flow"))
    step = 20 / 127
    greys = features["rgb"][0, :, 0, 0, 0].tolist()
    first = greys[0]  # the centred clip of seven frames out of eight
    assert greys == [first, first + 2, first + 4, first + 6]
    expected = [sum(flows[(first + 2 * n + k) % 8][0] for k in range(2)) for n in range(4)]
    flow = features["flow"][0, :, 0, 0]
    np.testing.assert_allclose(flow[:, 0], expected, atol=step)
    np.testing.assert_allclose(flow[:, 1], np.array(expected) / -2, atol=step)


@pytest.mark.parametrize(
    ("short", "training", "greys", "expected"),
    [
        ("loop", True, [0, 1, 2, 0, 1, 2, 0], [3, 3, 0, 3, 3, 0, 3]),
        ("hold", False, [0, 1, 2, 2, 2, 2, 2], [3, 3, 0, 0, 0, 0, 0]),
    ],
)
def test_short_videos_are_filled_and_nothing_moves_where_they_repeat_their_end_or_begin_again(
    make_split, stored_videos, plain, short, training, greys, expected
):
    split = make_split(stored_videos(1, length=3, flow=(3.0, -2.0)))
    spec = dataclasses.replace(plain, batch_size=1, frames=7, short_video=short)
    ((features, _),) = batches(split, spec, training=training, streams=("rgb", "flow"), count=1)
    assert features["rgb"][0, :, 0, 0, 0].tolist() == greys
    flow = features["flow"][0, :, 0, 0, 0]
    np.testing.assert_allclose(flow, expected, atol=10 / 127)
    assert (flow[np.equal(expected, 0)] == 0).all()


def test_a_single_frame_is_a_clip(make_split, stored_videos, plain):
    split = make_split(stored_videos(1, length=1))
    spec = dataclasses.replace(plain, batch_size=1)
    ((features, _),) = batches(split, spec, training=True, streams=STREAMS, count=1)
    assert features["rgb"].shape == (1, 4, 16, 16, 3)
    assert (features["objects"] == 0).all()


# Evaluation.


def test_evaluation_sees_every_view_and_crop_in_order_and_masks_the_filling(split, plain):
    spec = dataclasses.replace(plain, batch_size=4, views=2, crops=3)
    fed = batches(split, spec, training=False)
    mask = np.concatenate([targets["mask"] for _, targets in fed])
    real = VIDEOS * 6
    assert mask.tolist() == [1.0] * real + [0.0] * (-real % 4)
    assert videos_of(fed)[:real] == [n for n in range(VIDEOS) for _ in range(6)]
    greys = np.concatenate([features["rgb"][:, 0, 0, 0, 0] for features, _ in fed])
    # Views begin at frames 0 and 4 of eight, each three times, one for each crop.
    assert greys[:real].tolist() == [10 * n + s for n in range(VIDEOS) for s in (0, 0, 0, 4, 4, 4)]


def test_crops_lie_at_both_ends_and_in_the_middle(make_split, encoded_frames, plain):
    ramp = np.repeat(np.arange(24, dtype=np.uint8)[np.newaxis, :], 16, axis=0)
    frames = encoded_frames(4, 16, 24)
    frames["objects"] = [cv2.imencode(".png", ramp)[1].tobytes()] * 4
    split = make_split([StoredVideo("a", 0, 25.0, [], 20.0, frames)])
    spec = dataclasses.replace(plain, batch_size=1, crops=3)
    lefts = [
        f["objects"][0, 0, 0, 0] for f, _ in batches(split, spec, training=False, streams=STREAMS)
    ]
    assert lefts == [0, 4, 8]


@pytest.mark.parametrize(("pipelines", "replicas", "batch"), [(3, 3, 6), (2, 4, 4)])
def test_evaluation_over_pipelines_is_whole_and_equally_long(
    split, plain, pipelines, replicas, batch
):
    spec = dataclasses.replace(plain, batch_size=batch)
    seen, lengths = [], set()
    for number in range(pipelines):
        context = tf.distribute.InputContext(pipelines, number, replicas)
        fed = batches(split, spec, training=False, context=context)
        lengths.add(len(fed))
        for _, targets in fed:
            assert targets["mask"].shape == (batch // replicas,)
            seen += targets["video"][targets["mask"] == 1].tolist()
    assert sorted(seen) == list(range(VIDEOS))
    assert len(lengths) == 1
    assert lengths.pop() % (replicas // pipelines) == 0


def test_targets_are_multi_hot(make_split, encoded_frames, plain):
    labels = [(2, "c", -1.0, -1.0), (0, "a", -1.0, -1.0), (2, "c", 0.0, 1.0)]
    video = StoredVideo("a", 0, 25.0, labels, 20.0, encoded_frames(4, 16, 16))
    none = dataclasses.replace(video, id="b", video=1, labels=[])
    ((_, targets),) = batches(make_split([video, none], "abcd"), plain, training=False)
    assert targets["labels"].tolist() == [[1, 0, 1, 0], [0, 0, 0, 0]]


def test_label_rules_reach_the_clips(make_split, encoded_frames, plain):
    """At 25 a second, frames 0 to 3 are the first .16 seconds of a second."""
    labels = [(0, "a", 0.0, 0.5), (1, "b", 0.5, 1.0)]
    video = StoredVideo("a", 0, 25.0, labels, 20.0, encoded_frames(25, 16, 16))
    split = make_split([video])
    spec = dataclasses.replace(plain, batch_size=1, views=2)
    fed = batches(split, dataclasses.replace(spec, label_rule="any_overlap"), training=False)
    assert [targets["labels"][0].tolist() for _, targets in fed] == [[1, 0], [0, 1]]


# Shapes and mistakes.


@pytest.mark.parametrize("training", [False, True])
def test_shapes_are_static_and_freeing_waits_for_no_tuning(split, plain, training):
    """A thread of TensorFlow's that tunes a pipeline may sleep for a minute, and freeing an iterator waits."""
    folder, index = split
    spec = dataclasses.replace(plain, path=str(folder))
    dataset = build_dataset(spec, index, STREAMS, training=training)
    of_bilevel_steps = tf.data.Dataset.zip((dataset, dataset)).enumerate()
    assert not any(some.options().autotune.enabled for some in (dataset, of_bilevel_steps))
    features, targets = dataset.element_spec
    assert {name: (x.shape.as_list(), x.dtype) for name, x in features.items()} == {
        "rgb": ([2, 4, 16, 16, 3], tf.uint8),
        "flow": ([2, 4, 16, 16, 2], tf.float32),
        "objects": ([2, 4, 16, 16], tf.uint8),
    }
    seeds = {"dropout_seed": ([2, 2], tf.int32)} if training else {}
    assert {name: (x.shape.as_list(), x.dtype) for name, x in targets.items()} == {
        "labels": ([2, 2], tf.float32),
        "mask": ([2], tf.float32),
        "video": ([2], tf.int32),
        **seeds,
    }


@pytest.mark.slow
def test_any_streams_can_be_read_alone(split, plain):
    everything = batches(split, plain, training=False, streams=STREAMS)
    for streams in (("rgb",), ("flow",), ("objects",)):
        alone = batches(split, plain, training=False, streams=streams)
        for (some, _), (whole, _) in zip(alone, everything, strict=True):
            assert set(some) == set(streams)
            for name in streams:
                np.testing.assert_array_equal(some[name], whole[name])


def test_only_frames_of_the_clip_are_decoded(make_split, encoded_frames, plain):
    """Frames outside the clip may be broken off after their heads."""
    frames = encoded_frames(12, 16, 24)
    for name in STREAMS:
        frames[name] = [f[:33] if t < 4 or t > 7 else f for t, f in enumerate(frames[name])]
    split = make_split([StoredVideo("a", 0, 25.0, [], 20.0, frames)])
    spec = dataclasses.replace(plain, batch_size=1)
    ((features, _),) = batches(split, spec, training=False, streams=STREAMS)
    assert features["rgb"][0, :, 0, 0, 0].tolist() == [4, 5, 6, 7]


def test_mistakes_are_explained(split, plain):
    folder, index = split
    spec = dataclasses.replace(plain, path=str(folder))
    assert read_index(spec, STREAMS, 2, "train") == index
    with pytest.raises(UserError, match=r"train/DataSpec\.path must name"):
        read_index(plain, STREAMS, 2, "train")
    with pytest.raises(UserError, match=r"has 2 classes\. Set ModelSpec\.num_classes = 2"):
        read_index(spec, STREAMS, 3, "train")
    with pytest.raises(UserError, match=r"multiple of the 3 replicas\. Received: 2"):
        batches(split, plain, training=True, context=tf.distribute.InputContext(1, 0, 3))
    mixing = dataclasses.replace(plain, mixup_alpha=0.1)
    with pytest.raises(UserError, match=r"batch_size = 2 on 2 replicas"):
        batches(split, mixing, training=True, context=tf.distribute.InputContext(1, 0, 2))
    dataclasses.replace(index, streams=("rgb",)).write(folder)
    with pytest.raises(UserError, match=r"validation: .*lacks flow, objects"):
        read_index(spec, STREAMS, 2, "validation")
