"""Changes of colour against PIL and plain numpy; streams left out; all of it a function of the seed."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from official_vision.architecture.neutral_values import NEUTRAL
from official_vision.data.input.augmentation import (
    OPERATIONS,
    augment_clip,
    colour_operation,
    drop_streams,
    jitter_colours,
    rand_augment,
)
from official_vision.specs import DataSpec

SEED = tf.constant([3, 4], tf.int64)
EVERYTHING = DataSpec(
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    rand_augment_layers=2,
    flow_dropout=0.3,
    objects_dropout=0.3,
)


@pytest.fixture(scope="module")
def clip():
    """Three frames of smooth colours, greys 20 to 220."""
    random = np.random.default_rng(0)
    coarse = random.uniform(20, 220, (3, 4, 5, 3))
    return tf.cast(tf.image.resize(coarse, [24, 30], "bicubic"), tf.uint8)


def tall(clip):
    """All frames under each other, as one PIL picture: what clip-wide statistics mean."""
    return Image.fromarray(np.concatenate(list(clip.numpy())))


def pil(name, magnitude, sign, picture):
    strength = magnitude / 10
    enhancers = {"color": "Color", "brightness": "Brightness", "contrast": "Contrast"}
    if name in enhancers:
        enhancer = getattr(ImageEnhance, enhancers[name])(picture)
        return enhancer.enhance(1 + 0.9 * strength * sign)
    return {
        "identity": lambda: picture,
        "autocontrast": lambda: ImageOps.autocontrast(picture),
        "equalize": lambda: ImageOps.equalize(picture),
        "solarize": lambda: ImageOps.solarize(picture, 256 - round(256 * strength)),
        "posterize": lambda: ImageOps.posterize(picture, 8 - round(4 * strength)),
    }[name]()


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("magnitude", [0.0, 3.0, 10.0])
@pytest.mark.parametrize("name", [n for n in OPERATIONS if n not in ("sharpness", "contrast")])
def test_operations_against_pil(clip, name, magnitude, sign):
    actual = colour_operation(clip, name, magnitude, sign).numpy()
    expected = np.asarray(pil(name, magnitude, sign, tall(clip))).reshape(actual.shape)
    assert actual.dtype == np.uint8
    assert np.abs(actual.astype(int) - expected).max() <= 1  # of rounding


@pytest.mark.parametrize("sign", [-1, 1])
def test_contrast_by_hand(clip, sign):
    """About each channel's mean over the clip (PIL takes one grey for all channels)."""
    x = clip.numpy().astype(float)
    mean = x.mean((0, 1, 2))
    expected = np.clip(mean + (x - mean) * (1 + 0.9 * 0.5 * sign), 0, 255)
    actual = colour_operation(clip, "contrast", 5.0, sign).numpy()
    assert np.abs(actual - expected).max() <= 1


@pytest.mark.parametrize("sign", [-1, 1])
def test_sharpness_against_pil(clip, sign):
    """A filter of neighbours: of each frame by itself."""
    sharpened = colour_operation(clip, "sharpness", 10.0, sign).numpy()
    for frame, result in zip(clip.numpy(), sharpened, strict=True):
        enhanced = ImageEnhance.Sharpness(Image.fromarray(frame)).enhance(1 + 0.9 * sign)
        assert np.abs(result.astype(int) - np.asarray(enhanced)).max() <= 2


def test_strengths_grow_with_the_magnitude(clip):
    x = clip.numpy().astype(int)
    for name in ("solarize", "posterize", "color", "contrast", "brightness", "sharpness"):
        changes = [
            np.abs(colour_operation(clip, name, float(m), -1).numpy() - x).mean()
            for m in (0, 4, 10)
        ]
        assert changes == sorted(changes), name
        assert changes[0] < 0.6, name
        assert changes[2] > changes[1] > 0, name


def test_every_operation_comes_up(clip):
    spec = DataSpec(rand_augment_layers=1, rand_augment_magnitude=10.0)
    results = {
        (name, sign): colour_operation(clip, name, 10.0, sign).numpy().tobytes()
        for name in OPERATIONS
        for sign in (-1, 1)
    }
    augmented = tf.function(lambda seed: rand_augment(clip, spec, seed))
    seen = {augmented(tf.constant([0, n], tf.int64)).numpy().tobytes() for n in range(150)}
    assert seen == set(results.values())


def test_layers_follow_each_other(clip):
    spec = DataSpec(rand_augment_layers=2)
    seeds = tf.random.split(SEED, 2)
    once = dataclasses.replace(spec, rand_augment_layers=1)
    # One layer's seed is the first of its split.
    augmented = rand_augment(clip, spec, SEED)
    assert augmented.shape == clip.shape
    twice = {
        rand_augment(rand_augment(clip, once, first), once, second).numpy().tobytes()
        for first in tf.unstack(tf.random.split(seeds[0], 40))
        for second in tf.unstack(tf.random.split(seeds[1], 4))
    }
    assert len(twice) > 10


def factors(strengths, count=300):
    """The shifts that `jitter_colours` draws, computed from its effect on brightness alone."""
    grey = tf.fill([1, 2, 2, 3], tf.constant(100, tf.uint8))
    spec = DataSpec(brightness=strengths)
    change = tf.function(lambda seed: jitter_colours(grey, spec, seed))
    return np.array(
        [change(tf.constant([1, n], tf.int64)).numpy()[0, 0, 0, 0] / 100 for n in range(count)]
    )


def test_brightness_is_even_within_its_bounds():
    drawn = factors(0.5)
    assert 0.5 <= drawn.min() < 0.53
    assert 1.47 < drawn.max() <= 1.5
    np.testing.assert_allclose(drawn.mean(), 1, atol=0.05)


def test_jitter_by_hand(clip):
    """Each part alone, its factor computed from the result, applies to every pixel of every frame."""
    x = clip.numpy().astype(float)
    weights = np.array([0.2989, 0.587, 0.114])
    grey = (x @ weights)[..., np.newaxis]
    for name, base in (("brightness", 0), ("contrast", grey.mean()), ("saturation", grey)):
        jittered = jitter_colours(clip, DataSpec(**{name: 0.4}), SEED).numpy()
        inside = (jittered > 0) & (jittered < 255)
        away = x - base
        factor = (((jittered - base) * away)[inside].sum()) / (away[inside] ** 2).sum()
        assert 0.6 <= factor <= 1.4, name
        assert abs(factor - 1) > 0.02, name
        expected = np.clip(base + away * factor, 0, 255)
        assert np.abs(jittered - expected).max() < 1.2, name


def test_hue_turns_colours_and_keeps_their_value(clip):
    jittered = jitter_colours(clip, DataSpec(hue=0.3), SEED).numpy()
    before, after = (
        np.asarray(Image.fromarray(x).convert("HSV")) for x in (clip[0].numpy(), jittered[0])
    )
    assert np.abs(after[..., 2].astype(int) - before[..., 2]).max() <= 1
    colourful = (before[..., 1] > 60) & (before[..., 2] > 60)
    turns = ((after[..., 0].astype(int) - before[..., 0])[colourful] + 128) % 256 - 128
    assert np.abs(turns - np.median(turns)).max() <= 4
    assert 2 < abs(np.median(turns)) <= 0.3 * 256


def test_all_frames_are_changed_alike(clip):
    """A still clip stays still, whatever is drawn: brightness is constant along the flow."""
    still = tf.tile(clip[:1], [4, 1, 1, 1])
    change = tf.function(lambda seed: augment_clip({"rgb": still}, EVERYTHING, seed)["rgb"])
    results = set()
    for number in range(25):
        augmented = change(tf.constant([5, number], tf.int64)).numpy()
        np.testing.assert_array_equal(augmented, np.broadcast_to(augmented[:1], augmented.shape))
        results.add(augmented.tobytes())
    assert len(results) == 25


def streams(clip):
    return {
        "rgb": clip,
        "flow": tf.ones([3, 24, 30, 2]),
        "objects": tf.ones([3, 24, 30], tf.uint8),
    }


def test_equal_seeds_give_equal_clips(clip):
    tf.random.set_seed(1)
    first = augment_clip(streams(clip), EVERYTHING, SEED)
    tf.random.set_seed(2)
    again = tf.function(lambda: augment_clip(streams(clip), EVERYTHING, SEED))()
    for name, x in first.items():
        assert (x.dtype, x.shape) == (streams(clip)[name].dtype, streams(clip)[name].shape)
        np.testing.assert_array_equal(x, again[name])


def test_off_by_default(clip):
    fed = streams(clip)
    augmented = augment_clip(fed, DataSpec(), SEED)
    assert all(augmented[name] is x for name, x in fed.items())


def test_streams_are_blanked_at_their_rates(clip):
    rates = {"rgb": 0.2, "flow": 0.5, "objects": 0.0}
    spec = DataSpec(rgb_dropout=0.2, flow_dropout=0.5)
    drop = tf.function(lambda seed: drop_streams(streams(clip), spec, seed))
    taken = dict.fromkeys(rates, 0)
    for number in range(200):
        dropped = drop(tf.constant([1, number], tf.int64))
        for name, x in streams(clip).items():
            blank = np.full(x.shape, NEUTRAL[name])
            if np.array_equal(dropped[name], blank):
                taken[name] += 1
            else:
                np.testing.assert_array_equal(dropped[name], x)
    for name, rate in rates.items():
        np.testing.assert_allclose(taken[name] / 200, rate, atol=0.11)
    assert taken["objects"] == 0


@given(st.integers(0, 2**31 - 1), st.sets(st.sampled_from(["rgb", "flow", "objects"]), min_size=1))
def test_one_stream_always_stays(number, names):
    features = {name: tf.fill([2], tf.constant(7, tf.uint8)) for name in sorted(names)}
    spec = DataSpec(rgb_dropout=0.9, flow_dropout=0.9, objects_dropout=0.9)
    dropped = drop_streams(features, spec, tf.constant([0, number]))
    assert any((x.numpy() == 7).all() for x in dropped.values())
