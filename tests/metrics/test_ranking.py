"""Average precision when videos count several times, against scikit-learn on repeated videos."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from official_vision.metrics.ranking import Ranking


@given(st.integers(0, 10_000), st.booleans())
def test_counting_a_video_twice_is_having_it_twice(seed, tied):
    random = np.random.default_rng(seed)
    videos = random.integers(1, 25)
    scores = random.integers(0, 4, videos) if tied else random.normal(size=videos)
    positives = random.random(videos) < 0.4
    counts = random.integers(0, 4, (videos, 5)).astype(float)
    precisions = Ranking(scores, positives).average_precision(counts)
    for draw, number in zip(counts.T.astype(int), precisions, strict=True):
        labels = np.repeat(positives, draw)
        if labels.any():
            expected = average_precision_score(labels, np.repeat(scores, draw))
            np.testing.assert_allclose(number, expected, atol=1e-9)
        else:
            assert np.isnan(number)


def test_infinite_scores_are_ranked():
    ranking = Ranking(np.array([-np.inf, np.inf, 0.0]), np.array([True, True, False]))
    # First and third: precisions 1 and 2/3.
    np.testing.assert_allclose(ranking.average_precision(np.ones((3, 1))), [(1 + 2 / 3) / 2])
