"""Bad requests are refused by name, in Python and inside a graph, and the next one is scored."""

import cv2
import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from official_vision.errors import UserError
from official_vision.modeling.inputs import input_signature
from official_vision.serving.export.exported_model import load_exported_model
from official_vision.serving.export.request_checks import (
    check_streams,
    checked_encoded,
    checked_in_graph,
)
from tests.serving import exports

STREAMS = ("rgb", "flow", "objects")
SIGNATURE = input_signature(STREAMS)


def clip(batch=1, time=2, size=4):
    shape = (batch, time, size, size)
    return {
        "rgb": np.full((*shape, 3), 51, np.uint8),
        "flow": np.ones((*shape, 2), np.float32),
        "objects": np.zeros(shape, np.uint8),
    }


def changed(**streams):
    """A whole clip with some streams replaced; None takes one away."""
    return {name: x for name, x in {**clip(), **streams}.items() if x is not None}


NAN = clip()["flow"].copy()
NAN[0, 1, 2, 3, 0] = np.nan
BAD = {
    "rank": (changed(rgb=clip()["rgb"][0]), r"rgb must be uint8 \[batch, time, height, width, 3\]"),
    "values": (
        changed(rgb=clip()["rgb"] / np.float32(255)),
        r"rgb must be uint8.*float32 of other",
    ),
    "ids": (
        changed(objects=clip()["objects"] - np.int32(1)),
        "objects must be uint8.*int32 of other",
    ),
    "text": (changed(rgb=clip()["rgb"].astype(str)), "rgb must be uint8"),
    "channels": (changed(flow=clip()["rgb"].astype(np.float32)), r"flow must be float32.*, 2\]"),
    "frame size": (changed(objects=clip(size=5)["objects"]), r"rgb \[1, 2, 4, 4, 3\] and objects"),
    "frames": (changed(flow=clip(time=3)["flow"]), r"rgb \[1, 2.* and flow \[1, 3"),
    "no frames": (clip(time=0), r"rgb must be .* at least one of each. Received: \[1, 0,"),
    "no clip": (clip(batch=0), "at least one of each"),
    "NaN": (changed(flow=NAN), "flow must be .*finite numbers. Received: NaN"),
    "missing": (changed(flow=None), "Received: objects, rgb. Add flow"),
    "unknown": ({**clip(), "sound": np.zeros(3)}, "Received: flow, objects, rgb, sound"),
    "ragged": (changed(objects=[[[[1]], [[1], [2]]]]), "objects must be one array"),
}


def test_other_dtypes_are_cast_where_no_value_changes():
    streams = {
        "rgb": clip()["rgb"].astype(np.float32),
        "flow": clip()["flow"].astype(np.float64),
        "objects": clip()["objects"].astype(np.int64),
    }
    for name, value in check_streams(streams, SIGNATURE).items():
        np.testing.assert_array_equal(value, clip()[name])
        assert value.dtype == clip()[name].dtype


@pytest.fixture(scope="module")
def exported(known_scores):
    return load_exported_model(exports.with_clip(known_scores))


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_request_is_named_and_the_next_one_scored(exported, kind):
    request, message = BAD[kind]
    with pytest.raises(UserError, match=message) as caught:
        exported(**request)
    assert "\n" not in str(caught.value)
    scores = exported(**clip())["scores"][0]
    np.testing.assert_allclose(scores, [0.2, 0.5, 0.1, 0], atol=1e-6)


def test_a_whole_request_passes_as_it_is():
    passed = check_streams(clip(), SIGNATURE)
    for name, value in clip().items():
        np.testing.assert_array_equal(passed[name], value)


@pytest.fixture(scope="module")
def graph():
    """The graph that a server runs: compiled once, for every shape."""

    @tf.function(input_signature=[dict(SIGNATURE)])
    def serve(streams):
        checked = checked_in_graph(streams)
        return tf.reduce_mean(tf.cast(checked["rgb"], tf.float32)) + tf.reduce_sum(checked["flow"])

    return serve


@pytest.mark.parametrize("kind", ["frame size", "frames", "no frames", "no clip", "NaN"])
def test_a_graph_names_what_its_signature_lets_pass(graph, kind):
    request, _ = BAD[kind]
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        graph({name: tf.constant(x) for name, x in request.items()})
    named = {"frame size": "objects", "no frames": "rgb", "no clip": "rgb"}.get(kind, "flow")
    assert f"{named} must " in str(caught.value)
    score = graph({name: tf.constant(x) for name, x in clip().items()})
    assert float(score) == pytest.approx(51 + 2 * 2 * 16)


def encoded(suffix):
    picture = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    return cv2.imencode(suffix, picture)[1].tobytes()


def test_a_corrupt_frame_in_the_middle_is_named_by_its_place():
    serve = tf.function(checked_encoded, input_signature=[tf.TensorSpec([None, None], tf.string)])
    whole = [encoded(".jpg"), encoded(".png")] * 3
    np.testing.assert_array_equal(serve(tf.constant([whole])).numpy(), [whole])
    for broken in (b"", b"\xff", b"text", whole[0][: len(whole[0]) // 2], whole[1][:-3]):
        frames = [whole, [*whole[:4], broken, whole[5]]]
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"whole JPEG or PNG.*\[1 4\]"):
            serve(tf.constant(frames))
    with pytest.raises(tf.errors.InvalidArgumentError, match="frames must be string"):
        serve(tf.zeros([1, 0], tf.string))
    np.testing.assert_array_equal(serve(tf.constant([whole])).numpy(), [whole])


DTYPES = st.sampled_from([np.uint8, np.float32, np.int64, np.float64, bool])
ARRAYS = st.builds(
    lambda shape, dtype, bad: np.full(
        shape, np.nan if bad and np.dtype(dtype).kind == "f" else 1, dtype
    ),
    st.lists(st.integers(0, 3), max_size=6).map(tuple),
    DTYPES,
    st.booleans(),
)
SIZES = st.integers(0, 3)
WHOLE = st.builds(clip, SIZES, SIZES, SIZES)
REQUESTS = st.builds(
    lambda whole, others, names: {
        **{name: x for name, x in whole.items() if name in names},
        **others,
    },
    WHOLE,
    st.dictionaries(st.sampled_from([*STREAMS, "sound"]), ARRAYS, max_size=2),
    st.sets(st.sampled_from(STREAMS), min_size=2),
)


def scores_or_refusal(exported, request):
    """Returns the scores or the refusal of a request, and checks its form."""
    try:
        scores = exported(**request)
    except UserError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert "Received:" in message
        assert "\n" not in message
        return False
    batch, time = request["rgb"].shape[:2]
    assert scores["scores"].shape == (batch, 4)
    assert scores["frame_scores"].shape == (batch, time, 4)
    return True


@hypothesis.given(request=st.one_of(WHOLE, REQUESTS))
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_any_request_is_scored_or_refused_in_one_line(exported, request):
    whole = set(request) == set(STREAMS) and all(
        x.dtype == clip()[name].dtype and x.ndim == clip()[name].ndim and 0 not in x.shape
        for name, x in request.items()
    )
    has_scores = scores_or_refusal(exported, request)
    assert whole or not has_scores


def resident_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.slow
def test_ten_thousand_requests_do_not_grow_the_memory(exported):
    """Of random kinds and sizes; a tenth of them warms up, and 16 MiB is what allocators keep."""
    generator = np.random.default_rng(0)
    kinds, counts, used = list(BAD), {True: 0, False: 0}, []
    for number in range(10_000):
        if number in (1_000, 9_999):
            used.append(resident_kib())
        if generator.random() < 0.5:
            request = BAD[kinds[generator.integers(len(kinds))]][0]
        else:
            request = clip(*generator.integers(1, 4, 3))
        counts[scores_or_refusal(exported, request)] += 1
    print(f"scored and refused: {counts}; resident KiB after 1000 and 10000: {used}")
    assert min(counts.values()) > 4_000
    assert used[1] - used[0] < 16 * 1024
