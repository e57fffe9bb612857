"""Frames come out of the file as they went in, with the streams that were there."""

from hypothesis import given
from hypothesis import strategies as st

from official_vision.data.storage.frame_file import append_frame, read_frames

ENCODED = st.binary(min_size=1, max_size=300)
STREAMS = st.sampled_from([("rgb",), ("rgb", "flow"), ("objects", "rgb"), ("flow",)])


@given(
    STREAMS.flatmap(lambda names: st.lists(st.fixed_dictionaries(dict.fromkeys(names, ENCODED))))
)
def test_frames_are_kept(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp("frames") / "frames"
    with open(path, "wb") as file:
        for frame in frames:
            append_frame(file, frame)
    assert list(read_frames(path)) == frames


def test_they_are_read_one_by_one(tmp_path):
    with open(tmp_path / "frames", "wb") as file:
        append_frame(file, {"rgb": b"a" * 10_000})
        append_frame(file, {"rgb": b"b"})
        frames = read_frames(tmp_path / "frames")
        file.flush()
        assert next(frames) == {"rgb": b"a" * 10_000}
        append_frame(file, {"rgb": b"c"})
        file.flush()
        assert [frame["rgb"] for frame in frames] == [b"b", b"c"]
