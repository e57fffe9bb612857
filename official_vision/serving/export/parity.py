"""Compares an exported file's scores with the network's, on held-out clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from official_vision.errors import UserError
from official_vision.metrics.evaluation import evaluate_scores
from official_vision.serving.export.held_out_clips import HeldOutClips

# Clips -> (scores and frame_scores, seconds per clip).
Scorer = Callable[[HeldOutClips], tuple[Mapping[str, np.ndarray], float]]
# Figures of `Parity` that a limit may hold for, of each clip's greatest difference.
MEASURES = {"difference": np.max, "typical_difference": np.mean}
# -> (what was left exact, scores and frame_scores).
Parts = Callable[[], Iterable[tuple[str, Mapping[str, np.ndarray]]]] | None


@dataclasses.dataclass(frozen=True)
class Parity:
    """One exported file compared with its network.

    Attributes:
      difference: greatest of any score or frame score.
      typical_difference: mean over clips of the greatest in each.
      top_1_agreement: share of clips whose best class is the same.
      map_difference: mean average precision of the file less the network's; None where no clip of the
        sample has a label.
      clips: of the sample.
      size_bytes: of the file or folder.
      seconds_per_clip: median, one clip at a time, on this machine.
    """

    difference: float
    typical_difference: float
    top_1_agreement: float
    map_difference: float | None
    clips: int
    size_bytes: int
    seconds_per_clip: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as JSON values."""
        return dataclasses.asdict(self)

    def to_text(self) -> str:
        """Returns one line for people."""
        change = "" if self.map_difference is None else f", mAP {self.map_difference:+.4f}"
        return (
            f"scores within {self.difference:.1e} ({self.typical_difference:.1e} in a typical clip), "
            f"best class the same in {self.top_1_agreement:.0%} of {self.clips} clips{change}, "
            f"{self.size_bytes / 1e6:.1f} MB, {1e3 * self.seconds_per_clip:.1f} ms per clip"
        )


@dataclasses.dataclass(frozen=True)
class RgbAlone:
    """What serving_default gives up, which takes rgb alone, beside the signature that takes every stream.

    Attributes:
      map_of_all_streams, map_of_rgb_alone: mean average precision of each, on the same clips; None where no clip of
        the sample has a label.
      top_1_agreement: share of clips whose best class is the same.
      clips: of the sample.
    """

    map_of_all_streams: float | None
    map_of_rgb_alone: float | None
    top_1_agreement: float
    clips: int

    def to_text(self) -> str:
        """Returns one line for people."""
        figures = ""
        if self.map_of_all_streams is not None and self.map_of_rgb_alone is not None:
            figures = (
                f": mAP {self.map_of_rgb_alone:.4f}, with all streams {self.map_of_all_streams:.4f}"
            )
        return (
            "serving_default takes rgb alone, computes flow and has no objects"
            f"{figures}; best class the same in {self.top_1_agreement:.0%} of {self.clips} clips"
        )


def compare_rgb_alone(
    expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray], labels: np.ndarray
) -> RgbAlone:
    """Compares scores of all streams with those of rgb alone, scores [clips, classes] each.

    Args:
      expected: of all streams.
      actual: of rgb alone.
      labels: float32 [clips, classes], multi-hot.
    """
    same = expected["scores"].argmax(axis=-1) == actual["scores"].argmax(axis=-1)
    return RgbAlone(
        _map_of(expected["scores"], labels),
        _map_of(actual["scores"], labels),
        float(same.mean()),
        len(labels),
    )


def compare(
    expected: Mapping[str, np.ndarray],
    actual: Mapping[str, np.ndarray],
    clips: HeldOutClips,
    *,
    size_bytes: int,
    seconds_per_clip: float,
) -> Parity:
    """Compares two scorings of the same clips: scores [clips, classes], frame_scores [clips, time, classes]."""
    by_clip = _differences(expected, actual)
    same = expected["scores"].argmax(axis=-1) == actual["scores"].argmax(axis=-1)
    return Parity(
        float(by_clip.max()),
        float(by_clip.mean()),
        float(same.mean()),
        _map_difference(expected["scores"], actual["scores"], clips.labels),
        len(clips),
        size_bytes,
        seconds_per_clip,
    )


def check(
    parity: Parity,
    limit: float,
    name: str,
    expected_of: Callable[[HeldOutClips], Mapping[str, np.ndarray]],
    scores_of: Scorer,
    clips: HeldOutClips,
    parts: Parts = None,
    measure: str = "difference",
) -> None:
    """Refuses a file whose scores differ too much, and names the stream and operation to blame.

    Args:
      parity: of the file.
      limit: of the measure.
      name: of the file, for people.
      expected_of: computes the network's scores.
      scores_of: computes the file's scores.
      clips: of both scorings.
      parts: yields scores of files in which one kind of operation is exact, by that kind; None where the
        format has no such files. It is called when a file is refused.
      measure: one of MEASURES.

    Raises:
      UserError: the measure is more than `limit`, or NaN.
    """
    received = getattr(parity, measure)
    if received <= limit:
        return

    def difference(expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]) -> float:
        return float(MEASURES[measure](_differences(expected, actual)))

    blame = ""
    if len(clips.streams) > 1:
        blanked = {stream: clips.without(stream) for stream in clips.streams}
        left = {
            stream: difference(expected_of(blanked_clips), scores_of(blanked_clips)[0])
            for stream, blanked_clips in blanked.items()
        }
        blame = _least(left, "Without the stream {}", "without")
    if parts is not None:
        left = {kind: difference(expected_of(clips), actual) for kind, actual in parts()}
        blame += _least(left, "With {} in floats", "with") if left else ""
    where = " in a typical clip" if measure == "typical_difference" else ""
    raise UserError(
        f"An exported file must agree with the model: {name} within {limit:g}{where}. "
        f"Received: a difference of {received:g}{where}.{blame} Nothing was exported; "
        "--limit allows more, --precision or --tflite choose another format."
    )


def _least(left: Mapping[str, float], sentence: str, others: str) -> str:
    """Names the change that leaves the least difference, and the least difference of any other change."""
    worst, *rest = sorted(left, key=left.get)
    advice = sentence.format(worst) + f" the difference would be {left[worst]:.1e}"
    return f" {advice}{f', {others} any other at least {left[rest[0]]:.1e}' if rest else ''}."


def _differences(
    expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Returns each clip's greatest difference, [clips]; NaN where there is one, unlike Python's max."""
    by_name = [
        np.abs(actual[name] - values).reshape(len(values), -1) for name, values in expected.items()
    ]
    return np.concatenate(by_name, axis=1).max(axis=1)


def _map_difference(expected: np.ndarray, actual: np.ndarray, labels: np.ndarray) -> float | None:
    before, after = _map_of(expected, labels), _map_of(actual, labels)
    return None if before is None or after is None else after - before


def _map_of(scores: np.ndarray, labels: np.ndarray) -> float | None:
    if not (np.isfinite(scores).all() and (labels > 0).any()):
        return None
    names = [str(number) for number in range(labels.shape[1])]
    return evaluate_scores(scores, labels, names).figures["mAP"]
