"""Decoding: every frame of sound files, in order and upright; a named reason for every broken one."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.data.video import Frame, VideoError, VideoInfo, decode, decoding, probe

REPOSITORY = Path(__file__).resolve().parents[3]


def greys(count, height=48, width=64):
    return [np.full((height, width, 3), 8 * number, np.uint8) for number in range(count)]


def levels(frames):
    return [round(float(frame.rgb.mean()) / 8) for frame in frames]


@pytest.fixture
def noisy_mp4(tmp_path, write_mp4):
    """30 frames that compress badly, so that bytes are spread over all of them."""
    frames = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), dtype=np.uint8)
    return write_mp4(tmp_path / "noise.mp4", frames)


@pytest.mark.parametrize(
    "name",
    [
        "12:30:05.mp4",
        "-x.mp4",
        "pipe:1.mp4",
        "concat:a|b.mp4",
        "%03d.mp4",
        "a\nb.mp4",
        "caf\udce9.mp4",
    ],
)
def test_a_name_is_a_name_and_nothing_else(tmp_path, write_mp4, monkeypatch, name):
    """FFmpeg reads protocols and patterns out of names."""
    write_mp4(tmp_path / "a.mp4", greys(3)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert levels(decode(name)) == [0, 1, 2]
    assert probe(name).frames == 3


def test_a_name_may_be_composed_otherwise_on_disk(tmp_path, write_mp4):
    write_mp4(tmp_path / "cafe\u0301.mp4", greys(3))
    assert levels(decode(tmp_path / "caf\u00e9.mp4")) == [0, 1, 2]
    for missing in ("cafe.mp4", "x" * 300 + ".mp4", "a\0.mp4"):
        with pytest.raises(VideoError, match="there is no such video file"):
            next(decode(tmp_path / missing))


def test_all_frames_come_in_order_with_their_times(tmp_path, write_mp4):
    path = write_mp4(tmp_path / "a.mp4", greys(30))
    frames = list(decode(path))
    assert levels(frames) == list(range(30))
    np.testing.assert_allclose([f.time_sec for f in frames], np.arange(30) / 25, atol=1e-6)
    assert probe(path) == VideoInfo(25.0, 1.2, width=64, height=48, frames=30)


def test_real_footage_is_decoded_whole(footage):
    """Counts and sizes as the films' headers say: one has sound, one pixels of 128 : 117."""
    expected = {
        "bikes": (250, (272, 640, 3)),
        "bigbuckbunny": (132, (720, 1280, 3)),
        "carphone_pristine": (120, (144, 193, 3)),
    }
    for name, path in footage.items():
        shapes = [frame.rgb.shape for frame in decode(path)]
        assert (len(shapes), shapes[0]) == expected[name]
        assert len(set(shapes)) == 1


def test_the_shorter_side_is_resized_and_the_picture_kept(footage):
    full = next(decode(footage["bikes"])).rgb
    small = next(decode(footage["bikes"], short_side=68)).rgb
    assert small.shape == (68, 160, 3)
    averaged = full.reshape(68, 4, 160, 4, 3).mean((1, 3))
    assert np.abs(averaged - small).mean() < 1.5


@pytest.mark.parametrize("size", [(50, 34), (35, 33), (2, 64)])
def test_odd_sizes(tmp_path, size):
    """Formats that halve colour only for even sizes aren't all there is."""
    path = tmp_path / "odd.mkv"
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = *size, "bgr0"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    frames = list(decode(path))
    assert len(frames) == 3
    np.testing.assert_array_equal(frames[0].rgb, pixels)
    short = next(decode(path, short_side=16)).rgb
    assert min(short.shape[:2]) == 16


@pytest.mark.parametrize("short_side", [None, 32])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90])
def test_rotation_flags_are_applied(tmp_path, write_mp4, degrees, short_side):
    """A phone stores the sensor's picture and by how much to turn it (counterclockwise)."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:32, :48] = 255  # only the top left is white
    path = write_mp4(tmp_path / "turned.mp4", [pixels] * 3, rotation=degrees)
    upright = next(decode(path, short_side)).rgb
    expected = np.rot90(pixels, degrees // 90)
    step = 1 if short_side is None else 2
    assert upright.shape == expected[::step, ::step].shape
    assert np.abs(upright.astype(float) - expected[::step, ::step]).mean() < 8


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "suffix", "error"),
    [
        ("gray", "ffv1", "mkv", 0),
        ("gray10le", "ffv1", "mkv", 1),
        ("yuv420p10le", "ffv1", "mkv", 3),
        ("yuvj420p", "mjpeg", "avi", 4),
    ],
)
def test_kinds_of_pixels(tmp_path, pix_fmt, codec, suffix, error):
    """Grey, 10 bits and the full range of levels all become the same 8 bits of RGB."""
    path = tmp_path / f"pixels.{suffix}"
    ramp = np.broadcast_to(np.linspace(16, 235, 64).astype(np.uint8)[:, None, None], (64, 48, 3))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = *ramp.shape[:2], pix_fmt
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(ramp), "rgb24")
        container.mux(stream.encode(picture.reformat(format=pix_fmt)))
        container.mux(stream.encode())
    (frame,) = decode(path)
    assert frame.rgb.dtype == np.uint8
    assert np.abs(frame.rgb.astype(int) - ramp).max() <= error


def test_sound_beside_the_pictures_changes_nothing(tmp_path, write_mp4):
    """A sound track of twice the length, interleaved with the pictures."""
    silent = write_mp4(tmp_path / "silent.mp4", greys(20))
    path = tmp_path / "sound.mkv"
    with av.open(str(silent)) as source, av.open(str(path), "w") as container:
        pictures = container.add_stream_from_template(source.streams.video[0])
        sounds = container.add_stream("aac", rate=8000, layout="mono")
        for number in range(13):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            sound.sample_rate, sound.pts = 8000, 1024 * number
            container.mux(sounds.encode(sound))
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = pictures
                container.mux(packet)
        container.mux(sounds.encode())
    frames = list(decode(path))
    assert levels(frames) == list(range(20))
    # Matroska rounds to milliseconds.
    np.testing.assert_allclose([f.time_sec for f in frames], np.arange(20) / 25, atol=1e-3)


def test_frames_at_uneven_times_keep_them(tmp_path, write_mp4):
    times = [0, 40, 200, 240, 1000, 1040]
    path = write_mp4(tmp_path / "vfr.mp4", greys(6), times_ms=times)
    frames = list(decode(path))
    np.testing.assert_allclose([f.time_sec for f in frames], np.array(times) / 1000, atol=2e-3)
    retimed = list(decode(path, fps=10))
    # At 0, .1, ... the latest frame that has begun.
    latest = [max(n for n, t in enumerate(times) if t <= 100 * tick) for tick in range(11)]
    assert levels(retimed) == latest
    np.testing.assert_allclose([f.time_sec for f in retimed], np.arange(11) / 10)


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=20),
    st.sampled_from([1, 5, 12.5, 24, 25, 29.97, 50]),
)
def test_retiming_takes_the_latest_frame_at_each_tick(gaps_ms, fps):
    times = np.cumsum([0, *gaps_ms]) / 1000
    frames = [Frame(np.full((1, 1, 3), number), time, number) for number, time in enumerate(times)]
    retimed = list(decoding.retimed(iter(frames), fps))
    ticks = np.arange(int(np.floor(times[-1] * fps + 1e-6)) + 1) / fps
    np.testing.assert_allclose([f.time_sec for f in retimed], ticks)
    latest = [int(np.searchsorted(times, tick + 1e-6, side="right")) - 1 for tick in ticks]
    assert [int(f.rgb[0, 0, 0]) for f in retimed] == latest


def test_a_part_is_cut_by_time(tmp_path, write_mp4):
    path = write_mp4(tmp_path / "a.mp4", greys(25))
    assert levels(decode(path, start_sec=0.2, end_sec=0.4)) == [5, 6, 7, 8, 9]
    assert levels(decode(path, start_sec=0.8)) == [20, 21, 22, 23, 24]
    assert levels(decode(path, end_sec=0.1)) == [0, 1, 2]
    assert levels(decode(path, fps=12.5, start_sec=0.2, end_sec=0.4)) == [6, 8]
    assert levels(decode(path, start_sec=5)) == []


def test_one_frame_is_a_video(tmp_path, write_mp4):
    assert levels(decode(write_mp4(tmp_path / "a.mp4", greys(2)[1:]))) == [1]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8, 0.95, 0.99])
def test_a_cut_mp4_is_refused(tmp_path, noisy_mp4, share):
    content = noisy_mp4.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(VideoError, match=r"cut\.mp4: (cut short|broken|not a readable|no frame)"):
        list(decode(path))


@pytest.mark.parametrize("share", [0.02, 0.4, 0.9, 0.999])
def test_cut_footage_is_refused(tmp_path, footage, share):
    """These files' tables lie at the end: cut anywhere, they can't be opened."""
    content = footage["carphone_pristine"].read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(VideoError, match=r"cut\.mp4: not a readable video \(Invalid data"):
        list(decode(path))


@pytest.mark.parametrize("lost", [0.5, 0.05, 0.001])
@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "libx264"), ("avi", "mpeg4")])
def test_other_cut_containers_are_refused(tmp_path, noisy_mp4, suffix, codec, lost):
    whole = tmp_path / f"whole.{suffix}"
    with av.open(str(whole), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for frame in decode(noisy_mp4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.rgb, "rgb24")))
        container.mux(stream.encode())
    assert len(list(decode(whole))) == 30
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * (1 - lost))])
    with pytest.raises(VideoError, match="cut short"):
        list(decode(cut))


def test_broken_bytes_in_the_middle_do_not_pass_silently(tmp_path, noisy_mp4):
    """Either the decoder complains, or all frames come; a hole in the middle never shortens a video."""
    content = bytearray(noisy_mp4.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    path = tmp_path / "hole.mp4"
    path.write_bytes(content)
    try:
        frames = len(list(decode(path)))
    except VideoError:
        return
    assert frames == 30


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "the file is empty"),
        ("text.mp4", b"This is no video.\n" * 40, "not a readable video"),
        ("missing.mp4", None, "there is no such video file"),
    ],
)
def test_no_video_is_named_with_its_reason(tmp_path, name, content, reason):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    for read in (probe, lambda p: list(decode(p))):
        with pytest.raises(VideoError, match=rf"{name}: .*{reason}") as raised:
            read(path)
        assert "\n" not in str(raised.value)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(VideoError, match="has no video stream"):
        probe(path)


def test_memory_does_not_grow_with_the_video(footage):
    """110 more frames of 1280 x 720 would take 300 MB in memory; half of that is too much."""
    command = [
        sys.executable,
        "-m",
        "tests.data.video.decoding_memory",
        str(footage["bigbuckbunny"]),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    early, late = map(int, done.stdout.split())
    assert late - early < 120_000  # kB
