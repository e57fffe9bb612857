"""Motion ids of hand-made flow: what moves with the camera is still, mirrored flow has mirrored ids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from official_vision.data.objects import object_classes, object_source
from official_vision.data.objects.motion import MOTION_CLASS_NAMES, STILL, motion_ids
from official_vision.data.video_streams import video_streams
from official_vision.specs import PrepareSpec

MOTION = PrepareSpec(objects="motion")
SIDE = 40  # speeds begin at 0.1, 0.2, 0.4 and 0.8 pixels per frame
numbers = st.floats(-30, 30, width=32)
sides = st.integers(2, 24)
flows = hnp.arrays(np.float32, st.tuples(sides, sides, st.just(2)), elements=numbers)


def panned_with_thing(camera, thing):
    """A camera that pans and, in the middle quarter, a thing that moves as said besides."""
    flow = np.full((SIDE, SIDE, 2), camera, np.float32)
    flow[10:30, 10:30] += np.float32(thing)
    return flow


@given(numbers, numbers)
def test_what_moves_with_the_camera_is_still(x, y):
    assert not motion_ids(np.full((8, 12, 2), (x, y), np.float32)).any()


@given(flows)
def test_a_mirrored_flow_has_mirrored_ids(flow):
    """So ids stay true when DataSpec.flip mirrors a clip."""
    mirrored = flow[:, ::-1] * np.float32([-1, 1])
    np.testing.assert_array_equal(motion_ids(mirrored), motion_ids(flow)[:, ::-1])


@given(flows)
def test_upside_down_up_and_down_change_places(flow):
    names = np.array(MOTION_CLASS_NAMES)
    swapped = [MOTION_CLASS_NAMES.index(_swapped(name)) for name in MOTION_CLASS_NAMES]
    turned = motion_ids(flow[::-1] * np.float32([1, -1]))
    np.testing.assert_array_equal(names[turned], names[swapped][motion_ids(flow)][::-1])


def _swapped(name):
    *speed, way = name.split()
    return " ".join([*speed, {"up": "down", "down": "up"}.get(way, way)])


@pytest.mark.parametrize("camera", [(0, 0), (3, -2)])
@pytest.mark.parametrize(
    ("thing", "name"),
    [
        ((0.05, 0), "still"),
        ((0.15, 0), "slow sideways"),
        ((-0.15, 0), "slow sideways"),
        ((0, -0.3), "medium up"),
        ((0, 0.3), "medium down"),
        ((0.3, 0.5), "fast down"),
        ((0.5, 0.3), "fast sideways"),
        ((-5, 4), "very fast sideways"),
    ],
)
def test_ids_say_how_fast_and_which_way_a_thing_moves(camera, thing, name):
    expected = np.full((SIDE, SIDE), STILL)
    expected[10:30, 10:30] = MOTION_CLASS_NAMES.index(name)
    np.testing.assert_array_equal(motion_ids(panned_with_thing(camera, thing)), expected)


def test_double_speed_is_the_next_class():
    once, twice = (motion_ids(panned_with_thing((0, 0), (0, speed))).max() for speed in (0.3, 0.6))
    assert (MOTION_CLASS_NAMES[once], MOTION_CLASS_NAMES[twice]) == ("medium down", "fast down")


@given(hnp.arrays(np.float32, (16, 20, 2), elements=st.integers(-40, 40).map(lambda n: n / 32)))
def test_ids_do_not_depend_on_the_frame_size(flow):
    large = 2 * flow.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(motion_ids(large)[::2, ::2], motion_ids(flow))


def test_regions_below_a_five_hundredth_of_the_frame_are_dropped():
    """Of 40 x 40 pixels: 3 are too few, 4 are enough, also where they touch at corners only."""
    flow = np.zeros((SIDE, SIDE, 2), np.float32)
    flow[0, :3, 0] = 5
    flow[range(20, 24), range(20, 24), 1] = 5
    expected = np.zeros((SIDE, SIDE))
    expected[range(20, 24), range(20, 24)] = MOTION_CLASS_NAMES.index("very fast down")
    np.testing.assert_array_equal(motion_ids(flow), expected)


def test_a_frame_has_the_ids_of_its_flow(footage):
    """The last frame repeats them, as it does the flow."""
    settings = {"short_side": 32, "fps": None, "end_sec": 0.3}
    items = list(
        video_streams(
            footage["bikes"], flow="dis", objects=object_source(MOTION, "any"), **settings
        )
    )
    ids = np.stack([item.objects for item in items])
    np.testing.assert_array_equal(ids, [motion_ids(item.flow) for item in items])
    np.testing.assert_array_equal(ids[-1], ids[-2])
    assert ids.dtype == np.uint8
    assert len(np.unique(ids)) > 3
    # Where the network reads no flow, prediction passes flow="none".
    source = object_source(MOTION, "any")
    alone = list(video_streams(footage["bikes"], flow="none", objects=source, **settings))
    np.testing.assert_array_equal(ids, [item.objects for item in alone])
    assert all(item.flow is None for item in alone)


def test_flow_is_of_the_method_that_is_set():
    """Without any it is DIS."""
    assert object_source(PrepareSpec(objects="motion", flow="tvl1"), "any").flow_method == "tvl1"
    assert object_source(PrepareSpec(objects="motion", flow="none"), "any").flow_method == "dis"


def test_ids_have_names():
    assert object_classes(MOTION) == MOTION_CLASS_NAMES
    assert len(set(MOTION_CLASS_NAMES)) == 13
