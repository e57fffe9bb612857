"""Figures of an exported file beside its network, by hand; and who is blamed."""

from __future__ import annotations

import numpy as np
import pytest

from official_vision.errors import UserError
from official_vision.serving.export import parity
from official_vision.serving.export.held_out_clips import HeldOutClips

EXPECTED = {
    "scores": np.array([[0.9, 0.2], [0.3, 0.6], [0.5, 0.4]]),
    "frame_scores": np.full((3, 2, 2), 0.5),
}
CLIPS = HeldOutClips(
    {name: np.full((3, 2, 4, 4, 3), 7, np.uint8) for name in ("rgb", "flow")},
    np.array([[1, 0], [0, 1], [1, 0]], np.float32),
)


def changed(name: str, position: tuple, value: float) -> dict[str, np.ndarray]:
    changed_scores = {key: values.copy() for key, values in EXPECTED.items()}
    changed_scores[name][position] = value
    return changed_scores


def figures(actual: dict[str, np.ndarray]) -> parity.Parity:
    return parity.compare(EXPECTED, actual, CLIPS, size_bytes=10, seconds_per_clip=0.5)


def test_figures_by_hand() -> None:
    """Clip 2 now prefers class 1, which costs class 0 its order: clip 2 ranks after clip 1."""
    compared = figures(changed("scores", (2, 0), 0.1))
    assert compared.difference == pytest.approx(0.4)
    assert compared.typical_difference == pytest.approx(0.4 / 3)
    assert compared.top_1_agreement == pytest.approx(2 / 3)
    # Class 0: positives at ranks 1 and 3: (1 + 2 / 3) / 2; class 1 stays at 1.
    assert compared.map_difference == pytest.approx((5 / 6 + 1) / 2 - 1)
    assert (compared.clips, compared.size_bytes, compared.seconds_per_clip) == (3, 10, 0.5)


def test_frame_scores_count_and_what_is_no_number_is_seen() -> None:
    assert figures(changed("frame_scores", (1, 1, 0), 0.75)).difference == pytest.approx(0.25)
    lost = figures(changed("scores", (0, 0), np.nan))
    assert np.isnan(lost.difference)
    assert np.isnan(lost.typical_difference)
    assert lost.map_difference is None


def wrong_scores(clips: HeldOutClips) -> tuple[dict[str, np.ndarray], float]:
    """Wrong by .1 as long as flow is there, by .02 more through rgb."""
    wrong = 0.1 * clips.streams["flow"].any() + 0.02 * (clips.streams["rgb"][0, 0, 0, 0, 0] == 7)
    return {name: values + wrong for name, values in EXPECTED.items()}, 0.1


def test_the_operations_that_are_to_blame_are_named() -> None:
    """Kinds of operations that were left exact, and what the rest then got wrong."""
    wrong, _ = wrong_scores(CLIPS)
    exact_parts = {
        "MUL": changed("scores", (0, 1), 0.3),
        "CONV_2D": changed("scores", (1, 0), 0.35),
    }
    with pytest.raises(UserError) as caught:
        parity.check(
            figures(wrong), 0.01, "it", lambda _: EXPECTED, wrong_scores, CLIPS, exact_parts.items
        )
    assert "With CONV_2D in floats the difference would be 5.0e-02" in str(caught.value)
    assert "with any other at least 1.0e-01." in str(caught.value)


def test_the_stream_that_is_to_blame_is_named() -> None:
    actual, _ = wrong_scores(CLIPS)
    with pytest.raises(UserError) as caught:
        parity.check(figures(actual), 0.01, "it", lambda _: EXPECTED, wrong_scores, CLIPS)
    assert "a difference of 0.12." in str(caught.value)
    assert "Without the stream flow the difference would be 2.0e-02" in str(caught.value)
    assert "without any other at least 1.0e-01" in str(caught.value)


@pytest.mark.parametrize("limit", [0.12, 0.13])
def test_within_the_limit_nothing_is_reported(limit: float) -> None:
    compared = figures(changed("scores", (0, 0), 0.9 - 0.12 + 1e-9))
    calls = []
    parity.check(compared, limit, "it", calls.append, calls.append, CLIPS)
    assert not calls  # there is nothing to blame, and nothing is computed again


def test_a_typical_clip_may_be_within_what_a_single_one_is_not() -> None:
    compared = figures(changed("frame_scores", (1, 0, 1), 0.5 + 0.3))
    typical = "typical_difference"
    parity.check(compared, 0.101, "it", wrong_scores, wrong_scores, CLIPS, measure=typical)
    with pytest.raises(
        UserError, match=r"within 0.099 in a typical clip. Received: a difference of 0.1 "
    ):
        parity.check(
            compared, 0.099, "it", lambda _: EXPECTED, wrong_scores, CLIPS, measure=typical
        )


def test_halves_share_no_clip() -> None:
    clips = HeldOutClips({"rgb": np.arange(5)[:, np.newaxis]}, np.arange(5)[:, np.newaxis] + 10)
    first, second = clips.halves()
    assert first.streams["rgb"].ravel().tolist() == [0, 2, 4]
    assert second.streams["rgb"].ravel().tolist() == [1, 3]
    assert second.labels.ravel().tolist() == [11, 13]
    alone = HeldOutClips({"rgb": np.arange(1)}, np.zeros([1, 2]))
    assert alone.halves() == (alone, alone)
