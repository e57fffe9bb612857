"""Odd but legal videos: every frame comes, at its time, upright and of one size; repairs are reported."""

from fractions import Fraction

import numpy as np
import pytest

from official_vision.data.video import DecodingReport, VideoError, decode, probe
from tests.data.video import odd
from tests.data.video.odd import greys, levels

COUNT = 25


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return odd.write(tmp_path_factory.mktemp("plain") / "plain.mp4", greys(COUNT), bf="0", g="5")


def seen(path, **settings):
    """(numbers of the frames, their times, the report)."""
    report = DecodingReport()
    frames = list(decode(path, report=report, **settings))
    return levels(frames), [frame.time_sec for frame in frames], report


def assert_steady(path, count=COUNT, first=0.0):
    numbers, times, report = seen(path)
    assert numbers == list(range(count))
    np.testing.assert_allclose(times, first + np.arange(count) / 25, atol=2e-3)
    assert report.ended
    return report


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("h264.avi", "libx264", {"bf": "3"}),
        ("few.avi", "libx264", {"bf": "1"}),
        ("asp.avi", "mpeg4", {"bf": "2"}),
        ("none.avi", "mpeg4", {"bf": "0"}),
        ("raw.h264", "libx264", {"bf": "3"}),
        ("raw.m4v", "mpeg4", {"bf": "2"}),
    ],
)
def test_frames_without_times_of_presentation_count_from_the_rate(tmp_path, name, codec, options):
    assert_steady(odd.write(tmp_path / name, greys(COUNT), codec=codec, **options))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov", "a.flv"])
@pytest.mark.parametrize("bf", ["0", "3"])
def test_reordered_frames_keep_their_times(tmp_path, name, bf):
    assert_steady(odd.write(tmp_path / name, greys(COUNT), bf=bf))


def test_reordered_frames_of_a_program_stream(tmp_path):
    assert_steady(odd.write(tmp_path / "a.mpg", greys(COUNT), codec="mpeg2video", bf="3"))


def test_an_mp4_that_takes_times_of_decoding_for_those_of_presentation(tmp_path):
    """Some writers leave out the table that distinguishes them."""

    def forget(_, packet):
        packet.pts = packet.dts = packet.dts + round(0.2 / packet.time_base)

    source = odd.write(tmp_path / "b.mp4", greys(COUNT), bf="3")
    path = odd.remux(source, tmp_path / "wrong.mp4", forget)
    numbers, times, _ = seen(path)
    assert numbers == list(range(COUNT))
    np.testing.assert_allclose(np.diff(times), 1 / 25, atol=2e-3)


@pytest.mark.parametrize("offset", [3600.0, 86_400.0, 0.0])
@pytest.mark.parametrize("bf", ["0", "3"])
def test_joined_transport_streams_run_on(tmp_path, offset, bf):
    first = odd.write(tmp_path / "a.ts", greys(10), bf=bf)
    second = odd.write(tmp_path / "b.ts", greys(10, first=10), bf=bf, start_sec=offset)
    for parts, numbers in (
        ((first, second), range(20)),
        ((second, first), [*range(10, 20), *range(10)]),
    ):
        path = odd.joined(tmp_path / "joined.ts", *parts)
        shown, times, report = seen(path)
        assert shown == list(numbers)
        np.testing.assert_allclose(times, np.arange(20) / 25, atol=1e-3)
        assert "the clock jumps by" in " ".join(report.lines())
        assert levels(decode(path, fps=12.5)) == list(numbers)[::2]


def test_pauses_are_no_jumps(plain, tmp_path):
    """Of 8 s in any format; in files, not broadcasts, of any length."""
    for name, pause in (("a.ts", 8.0), ("a.mp4", 8.0), ("a.mkv", 500.0)):
        _, times, report = seen(odd.remux(plain, tmp_path / name, odd.moved(pause, 10)))
        expected = np.arange(COUNT) / 25 + pause * (np.arange(COUNT) >= 10)
        np.testing.assert_allclose(times, expected, atol=2e-3)
        assert report.lines() == []


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.mp4", "a.mov", "a.ts", "a.flv", "a.wmv"])
@pytest.mark.parametrize("start", [0.4, 30.0])
def test_late_starts_are_the_start(tmp_path, name, start):
    codec = {"a.webm": "libvpx", "a.wmv": "wmv2"}.get(name, "libx264")
    path = odd.write(tmp_path / name, greys(COUNT), codec=codec, start_sec=start)
    assert_steady(path)
    assert probe(path).duration_sec == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
def test_pictures_that_begin_after_their_sound_do_so(plain, tmp_path, name):
    """Annotators read a player's clock, which begins with the sound."""
    path = odd.remux(plain, tmp_path / name, odd.moved(2.0), sound_sec=3.0)
    # A transport stream's sound is cut into packets of another length.
    assert_steady(path, first=seen(path)[1][0])
    assert seen(path)[1][0] == pytest.approx(2.0, abs=0.04)
    assert levels(decode(path, fps=5))[:10] == [0] * 10


def test_what_lies_before_zero_is_hidden_in_an_mp4(plain, tmp_path):
    """Editors cut by an edit list; the frames before the cut stay in the file."""
    path = odd.remux(plain, tmp_path / "a.mp4", odd.moved(-0.4))
    numbers, times, report = seen(path)
    assert numbers == list(range(10, COUNT))
    np.testing.assert_allclose(times, np.arange(15) / 25, atol=1e-3)
    assert report.ended


def test_times_below_zero_that_a_container_cannot_hold(plain, tmp_path):
    numbers, times, _ = seen(odd.remux(plain, tmp_path / "a.mkv", odd.moved(-0.4)))
    assert numbers == list(range(COUNT))
    assert (np.diff(times) > 0).all()


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_last_picture_may_last_long(plain, tmp_path, name):
    path = odd.remux(plain, tmp_path / name, odd.held_until(5.0, COUNT - 1))
    report = assert_steady(path)
    assert report.end_sec == pytest.approx(5.96, abs=2e-3)
    numbers, times, _ = seen(path, fps=5)
    assert numbers == [0, 5, 10, 15, 20] + [24] * 25
    np.testing.assert_allclose(times, np.arange(30) / 5)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_first_picture_may_last_long(plain, tmp_path, name):
    path = odd.remux(plain, tmp_path / name, odd.moved(7.0, 1))
    numbers, times, _ = seen(path)
    assert numbers == list(range(COUNT))
    np.testing.assert_allclose(times, [0, *(7 + np.arange(1, COUNT) / 25)], atol=2e-3)


def test_a_cover_picture_is_no_video(plain, tmp_path):
    assert_steady(odd.remux(plain, tmp_path / "a.mkv", cover_first=True))


def test_a_recording_may_begin_between_key_frames(tmp_path):
    whole = odd.write(tmp_path / "whole.ts", greys(COUNT), bf="0", g="10").read_bytes()
    size = 188  # bytes of a transport packet
    path = tmp_path / "later.ts"
    path.write_bytes(whole[len(whole) // size // 8 * size :])
    numbers, times, report = seen(path)
    assert numbers == list(range(10, COUNT))
    np.testing.assert_allclose(np.diff(times), 1 / 25, atol=1e-3)
    assert report.ended


def test_an_end_that_was_never_downloaded_is_missed(tmp_path):
    """Some programs reserve the whole file first: what did not come are zeros."""
    noise = np.random.default_rng(0).integers(0, 256, (COUNT, 48, 64, 3), dtype=np.uint8)
    whole = odd.write(tmp_path / "whole.mkv", noise, bf="0")
    content = whole.read_bytes()
    half = len(content) // 2
    path = tmp_path / "half.mkv"
    path.write_bytes(content[:half] + bytes(len(content) - half))
    with pytest.raises(VideoError, match=r"cut short|broken"):
        list(decode(path))


@pytest.mark.parametrize("pipe", ["avi", "matroska", "flv", "mpegts"])
def test_what_was_written_into_a_pipe_names_no_length(tmp_path, pipe):
    """In AVI it names one that was to be corrected later."""
    assert_steady(odd.write(tmp_path / "piped", greys(COUNT), bf="0", pipe=pipe))


CORNER = np.zeros((48, 64, 3), np.uint8)
CORNER[:8, :32] = 255  # a bar in the top left: no turn or mirror of it is itself
ONE = 1 << 16
# a, b, c, d of the display matrix -> the picture as it is shown; (x, y) goes to (a x + c y, b x + d y).
TURNS = {
    (1, 0, 0, 1): CORNER,
    (-1, 0, 0, 1): CORNER[:, ::-1],
    (1, 0, 0, -1): CORNER[::-1],
    (-1, 0, 0, -1): CORNER[::-1, ::-1],
    (0, 1, -1, 0): np.rot90(CORNER, -1),
    (0, -1, 1, 0): np.rot90(CORNER),
    (0, 1, 1, 0): CORNER.transpose(1, 0, 2),
    (0, -1, -1, 0): CORNER.transpose(1, 0, 2)[::-1, ::-1],
}


@pytest.mark.parametrize("turn", list(TURNS))
@pytest.mark.parametrize("short_side", [None, 24])
def test_all_eight_ways_up(tmp_path, turn, short_side):
    a, b, c, d = (ONE * value for value in turn)
    matrix = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path = odd.write(tmp_path / "a.mov", [CORNER] * 2, matrix=matrix, crf="4")
    step = 1 if short_side is None else 2
    expected = TURNS[turn][::step, ::step]
    shown = next(decode(path, short_side)).rgb
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(float) - expected).mean() < 8


@pytest.mark.parametrize(
    ("aspect", "size"),
    [((4, 3), (48, 85)), ((1, 2), (96, 64)), ((1001, 1000), (48, 64))],
)
def test_pixels_that_are_not_square_become_so(tmp_path, aspect, size):
    path = odd.write(tmp_path / "a.mp4", [CORNER] * 2, aspect=Fraction(*aspect), crf="4")
    whole = next(decode(path)).rgb
    assert whole.shape[:2] == size
    # The bar keeps its share of the frame.
    assert (whole > 128).mean() == pytest.approx((CORNER > 128).mean(), abs=0.02)
    small = next(decode(path, 24)).rgb
    assert small.shape[:2] == tuple(round(side * 24 / min(size)) for side in size)


def test_a_changed_size_is_scaled_to_the_first(tmp_path):
    first = odd.write(tmp_path / "a.ts", greys(5), bf="0")
    second = odd.write(tmp_path / "b.ts", greys(5, 64, 32, first=5), bf="0", start_sec=0.2)
    path = odd.joined(tmp_path / "sizes.ts", first, second)
    for short_side, size in ((None, (48, 64, 3)), (24, (24, 32, 3))):
        report = DecodingReport()
        frames = list(decode(path, short_side, report=report))
        assert {frame.rgb.shape for frame in frames} == {size}
        assert levels(frames) == list(range(10))
        assert report.sizes == [(64, 48), (32, 64)]
        assert "64 x 48, then 32 x 64" in report.lines()[0]


def test_extreme_shapes_are_refused_in_words(tmp_path):
    path = odd.write(tmp_path / "flat.mkv", greys(2, 4, 640), codec="ffv1")
    message = r"flat\.mkv: frames of 640 x 4 pixels, one side more than 64 times the other"
    with pytest.raises(VideoError, match=message):
        list(decode(path, 32))


def test_one_broken_packet_costs_one_frame_where_that_is_allowed(plain, tmp_path):
    path = odd.broken(plain, tmp_path / "broken.mp4", 9)
    with pytest.raises(VideoError, match=r"broken after .*broken_packet_share lets some packets"):
        list(decode(path))
    with pytest.raises(VideoError, match=r"1 of 25 packets .* share of 0\.03"):
        list(decode(path, broken_share=0.03))
    numbers, times, report = seen(path, broken_share=0.04)
    left = [number for number in range(COUNT) if number != 9]
    assert (len(numbers), report.frames, report.broken) == (24, 24, 1)
    assert numbers == left
    np.testing.assert_allclose(times, np.array(left) / 25, atol=1e-3)
    assert report.lines()[0] == "1 of 25 packets cannot be decoded and were passed over"


def test_frames_after_a_broken_packet_keep_their_times_in_avi(tmp_path):
    plain = odd.write(tmp_path / "plain.avi", greys(COUNT), bf="0", g="5")
    path = odd.broken(plain, tmp_path / "broken.avi", 9)
    numbers, times, report = seen(path, broken_share=0.04)
    left = [number for number in range(COUNT) if number != 9]
    assert (numbers, report.broken) == (left, 1)
    np.testing.assert_allclose(times, np.array(left) / 25, atol=1e-3)


def test_a_cover_picture_alone_is_no_video(tmp_path):
    path = odd.song(tmp_path / "song.m4a")
    with pytest.raises(VideoError, match="has no video stream, only a cover picture"):
        probe(path)
