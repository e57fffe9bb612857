"""The missing length by a container, against the length that was cut."""

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from official_vision.data.video.container_length import missing_bytes


def write(path, codec, options=()):
    with av.open(str(path), "w", options=dict(options)) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        noise = np.random.default_rng(0)
        for _ in range(10):
            pixels = noise.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    """The bytes of a file of each kind."""
    folder = tmp_path_factory.mktemp("whole")
    fragments = {"movflags": "frag_keyframe+empty_moov"}
    return {
        "mkv": write(folder / "a.mkv", "libx264"),
        "webm": write(folder / "a.webm", "libvpx"),
        "avi": write(folder / "a.avi", "mpeg4"),
        "mp4": write(folder / "a.mp4", "libx264", {"movflags": "faststart"}),
        "mov": write(folder / "a.mov", "mpeg4"),
        "fragments": write(folder / "b.mp4", "libx264", fragments),
    }


@pytest.mark.parametrize("kind", ["mkv", "webm", "avi", "mp4"])
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_what_was_cut_is_missing(whole_files, tmp_path, kind, share):
    """To the byte, up to half of the file."""
    content = whole_files[kind]
    lost = int(share * (len(content) // 2))
    path = tmp_path / "cut"
    path.write_bytes(content[: len(content) - lost])
    assert missing_bytes(path) == lost


@pytest.mark.parametrize("kind", ["mkv", "webm", "avi", "mp4", "mov", "fragments"])
def test_whole_files_lack_nothing_even_with_something_behind_them(whole_files, tmp_path, kind):
    path = tmp_path / "whole"
    path.write_bytes(whole_files[kind])
    assert missing_bytes(path) == 0
    path.write_bytes(whole_files[kind] + b"TAG by some downloader, 1999")
    assert missing_bytes(path) == 0


def test_a_fragment_that_is_cut_is_missed(whole_files, tmp_path):
    path = tmp_path / "cut"
    path.write_bytes(whole_files["fragments"][:-10])
    assert missing_bytes(path) == 10


def test_lengths_in_8_bytes_and_streams_of_unknown_length(tmp_path, whole_files):
    path = tmp_path / "file"
    path.write_bytes(b"\0\0\0\x01mdat" + (1000).to_bytes(8, "big") + bytes(84))
    assert missing_bytes(path) == 900
    # A segment of unknown length is how Matroska is written into a pipe.
    start = whole_files["mkv"].index(b"\x18\x53\x80\x67")
    path.write_bytes(whole_files["mkv"][: start + 4] + b"\x01" + b"\xff" * 7 + bytes(50))
    assert missing_bytes(path) is None
    path.write_bytes(b"RIFF" + b"\xff" * 4 + b"AVI " + bytes(50))
    assert missing_bytes(path) is None


@pytest.mark.parametrize("content", [b"", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x00", b"ID3"])
def test_other_files_name_no_length(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert missing_bytes(path) is None
