"""The picture of a video's scores: what is in it, and that nothing lies over anything else."""

import itertools
import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

from official_vision.serving.predict.timeline_picture import draw_timeline, make_figure

LABELS = [f"class {number}" for number in range(20)]


def samples(count=6, height=48, width=64, duration=10.0):
    pictures = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones(
        (1, height, width, 3), np.uint8
    )
    return [((i + 0.5) / count * duration, 40 * pictures[i]) for i in range(count)]


def figure(*arguments):
    """A figure whose layout has been worked out."""
    made = make_figure(*arguments)
    FigureCanvasAgg(made).draw()
    return made


def axes_of(figure):
    """strip, rows, scale and the frames' axes."""
    strip, _, rows, scale = figure.axes[:4]
    return strip, rows, scale, strip.child_axes


def texts_of(figure):
    """Every visible text with its box in pixels."""
    _, rows, scale, frames = axes_of(figure)
    texts = [figure._suptitle, rows.xaxis.label, scale.yaxis.label]
    texts += [axis.title for axis in frames]
    for axis, side in ((rows.xaxis, "label1"), (rows.yaxis, "label1"), (scale.yaxis, "label2")):
        low, high = sorted(axis.get_view_interval())
        # Matplotlib also makes ticks beyond the axis's ends and does not draw them.
        drawn = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        texts += [getattr(tick, side) for tick in drawn]
    assert all(text.get_text() for text in texts)
    return [(text.get_text(), text.get_window_extent()) for text in texts]


def overlap(one, other):
    return (
        min(one.x1, other.x1) - max(one.x0, other.x0) > 0.5
        and min(one.y1, other.y1) - max(one.y0, other.y0) > 0.5
    )


CASES = {
    "usual": ("clip.mp4", LABELS[:4], samples()),
    "many classes": ("clip.mp4", LABELS, samples()),
    "one frame": ("clip.mp4", LABELS[:1], samples(1)),
    "long names": ("name " * 60, [f"{label} and what it does " * 5 for label in LABELS], samples()),
    "a portrait": ("clip.mp4", LABELS[:3], samples(height=160, width=90)),
    "a panorama": ("clip.mp4", LABELS[:3], samples(height=20, width=400)),
    "long times": ("clip.mp4", LABELS[:3], samples(duration=36000.0)),
    "mathematics": ("$x$ $.mp4", ["a $ b", "$\\frac$", "a_b^c"], samples()),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_lies_over_anything_else(case):
    title, labels, shown = CASES[case]
    scores = np.random.default_rng(0).uniform(size=(50, len(labels)))
    drawn = figure(title, scores, np.linspace(0, shown[-1][0] * 12 / 11, 51), labels, shown)
    texts = texts_of(drawn)
    for (text, box), (other_text, other_box) in itertools.combinations(texts, 2):
        assert not overlap(box, other_box), (text, other_text)
    strip, rows, scale, frames = axes_of(drawn)
    boxes = [axis.get_window_extent() for axis in (rows, scale, *frames)]
    for one, other in itertools.combinations(boxes, 2):
        assert not overlap(one, other)
    for text, box in texts:
        assert not any(overlap(box, other) for other in boxes), text
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= drawn.bbox.width, text
        assert box.y1 <= drawn.bbox.height, text
    # Frames are above the time axis, and most of the width is the scores'.
    assert strip.get_position().x0 == pytest.approx(rows.get_position().x0)
    assert strip.get_position().x1 == pytest.approx(rows.get_position().x1)
    assert rows.get_position().width > 0.6


def test_the_strongest_classes_are_drawn_with_their_scores():
    scores = np.random.default_rng(1).uniform(size=(30, 20))
    times = np.arange(31) / 10
    drawn = figure("clip.mp4", scores, times, LABELS, samples(duration=3))
    _, rows, scale, frames = axes_of(drawn)
    order = np.argsort(-scores.max(axis=0))[:12]
    assert [label.get_text() for label in rows.get_yticklabels()] == [LABELS[i] for i in order]
    (mesh,) = [child for child in rows.collections if hasattr(child, "get_coordinates")]
    np.testing.assert_allclose(np.asarray(mesh.get_array()).reshape(12, 30), scores[:, order].T)
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], times)
    assert mesh.get_clim() == (0, 1)
    # The first name is at the top, as does the first row.
    assert rows.get_ylim() == (12, 0)
    assert scale.get_ylabel() == "score"
    shown = [axis.get_images()[0].get_array()[0, 0, 0] for axis in frames]
    assert shown == [0, 40, 80, 120, 160, 200]
    assert [axis.get_title() for axis in frames] == [f"{t:.1f} s" for t, _ in samples(duration=3)]


def test_marks_are_at_the_times_of_the_samples():
    at = [0.1, 0.7, 2.9]
    shown = [(time, picture) for time, (_, picture) in zip(at, samples(3), strict=True)]
    rows = axes_of(figure("clip.mp4", np.zeros((30, 1)), np.arange(31) / 10, ["a"], shown))[1]
    assert [line.get_xdata()[0] for line in rows.lines] == at
    assert rows.get_xlim() == (0, 3.0)


def test_short_peaks_of_a_long_video_are_seen():
    scores = np.zeros((100_000, 1))
    scores[77_777] = 1
    times = np.arange(100_001) / 25
    rows = axes_of(figure("clip.mp4", scores, times, ["a"], samples()))[1]
    (mesh,) = [child for child in rows.collections if hasattr(child, "get_coordinates")]
    columns = np.asarray(mesh.get_array()).ravel()
    edges = mesh.get_coordinates()[0, :, 0]
    (peak,) = np.flatnonzero(columns)
    assert len(columns) <= 2000
    assert edges[peak] <= times[77_777] < edges[peak + 1]
    assert (edges[0], edges[-1]) == (0, 4000)


def test_the_file_is_written_without_a_warning(tmp_path):
    path = tmp_path / "new" / "clip.timeline.png"
    shown = samples(3, duration=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_timeline(path, "\u6620\u753b.mp4", np.eye(3), np.arange(4.0), LABELS[:3], shown)
    picture = imread(path)
    assert picture.shape[1] == 1000
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 20
    assert [each.name for each in path.parent.iterdir()] == [path.name]
