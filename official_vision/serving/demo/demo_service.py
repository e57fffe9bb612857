"""The demo's result for one video: annotated video, timeline and gates. It is independent of browsers."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from official_vision.data.video import VideoInfo, probe
from official_vision.errors import UserError
from official_vision.names import file_stem, shown
from official_vision.serving.explain.gate_openings import GateValues
from official_vision.serving.explain.gate_picture import describe_gate, write_gates
from official_vision.serving.predict.annotated_video import Annotation, ShownFrame, write_overlay
from official_vision.serving.predict.predictor import Prediction, Predictor, to_text
from official_vision.serving.predict.timeline_picture import draw_timeline

# Share done, from 0 to 1, and what is being done.
Progress = Callable[[float, str], None]
# Reading and inference take the most time, then drawing frame by frame.
_PREDICTED, _DRAWN = 0.7, 0.95


@dataclasses.dataclass(frozen=True)
class DemoLimits:
    """The limits of one visitor.

    Attributes:
      megabytes: of an uploaded file, in millions of bytes.
      video_sec: length of a video, in seconds.
      work_sec: time that one video may take, in seconds.
      keep_sec: age at which uploads and results are deleted, in seconds.
    """

    megabytes: int = 200
    video_sec: float = 300.0
    work_sec: float = 600.0
    keep_sec: float = 900.0


@dataclasses.dataclass(frozen=True)
class DemoResult:
    """The demo's result for a video.

    Attributes:
      text: the table of classes and times, and what could not be shown.
      overlay: annotated mp4.
      timeline: PNG.
      gates: PNG; None where the file has no gates.
      gate_rows: of every gate: connection, strength, peers, least, mean and greatest multiplier.
    """

    text: str
    overlay: Path
    timeline: Path
    gates: Path | None
    gate_rows: list[list[str | float]]


class Demo:
    """An exported file, loaded, that predicts on one video at a time within limits."""

    def __init__(self, model: str | os.PathLike, limits: DemoLimits):
        """Args:
        model: path of the exported file; see exported_model.load_exported_model.
        limits: of each video.

        Raises:
          UserError: no exported file lies there.
        """
        self.predictor = Predictor(model)
        self.limits = limits

    def predict(self, video: str | os.PathLike, folder: Path, progress: Progress) -> DemoResult:
        """Predicts on a video and draws the result.

        Args:
          video: its path; errors name its last part alone.
          folder: to write to.
          progress: is called with the share of the work that is done.

        Raises:
          UserError: the video can't be decoded, is larger or longer than the limits, or takes more time.
        """
        video = Path(video)
        try:
            return self._predict(video, folder, progress)
        except UserError as error:
            # A visitor knows the file by its name; its path on the server stays private.
            raise UserError(str(error).replace(str(video), video.name)) from error
        except Exception as error:  # any error of an odd video is shown to its visitor
            reason = (str(error).strip().splitlines() or ["no reason was named"])[0]
            raise UserError(
                f"{shown(video.name)}: {type(error).__name__}: {reason}".replace(
                    str(video), video.name
                )
            ) from error

    def _predict(self, video: Path, folder: Path, progress: Progress) -> DemoResult:
        watch = _Watch(self.limits, _checked(video, self.limits), progress)
        prediction = self.predictor.predict(
            video, lambda time_sec: watch.seen(time_sec, 0, _PREDICTED, "running the network")
        )
        timeline = folder / f"{_stem(video)}.timeline.png"
        draw_timeline(
            timeline,
            shown(video.name),
            prediction.frame_scores,
            prediction.times_sec,
            prediction.labels,
            prediction.samples,
        )
        overlay = folder / f"{_stem(video)}.annotated.mp4"
        annotation = Annotation(prediction.labels, prediction.frame_scores, prediction.times_sec)
        write_overlay(overlay, self._watched(video, watch), annotation)
        progress(_DRAWN, "drawing gates")
        gate_text, picture, rows = self._gates(video, folder, prediction)
        return DemoResult(
            f"{to_text(dataclasses.replace(prediction, video=video.name))}\n\n{gate_text}",
            overlay,
            timeline,
            picture,
            rows,
        )

    def _watched(self, video: Path, watch: _Watch) -> Iterator[ShownFrame]:
        for frame in self.predictor.shown_frames(video):
            watch.seen(frame.time_sec, _PREDICTED, _DRAWN, "drawing frames")
            yield frame

    def _gates(
        self, video: Path, folder: Path, prediction: Prediction
    ) -> tuple[str, Path | None, list[list[str | float]]]:
        """Draws the gates of the window around the frame in which the strongest class is strongest."""
        if not self.predictor.has_gates:
            return (
                "Gates are not shown: this file has none. A SavedModel of a gated network has.",
                None,
                [],
            )
        label, start_sec = strongest_window(prediction, self.predictor.window_frames)
        values = self.predictor.gates(video, start_sec)
        names = self.predictor.description.nodes
        title = f"Gates of the clip that begins at {start_sec:.1f} s, where {label} is strongest."
        path = folder / f"{_stem(video)}.gates.png"
        write_gates(path, title, values, names)
        return title, path, [_row(gate, names) for gate in values]


def strongest_window(prediction: Prediction, window_frames: int) -> tuple[str, float]:
    """Returns the strongest class, and where the window around its strongest frame begins, in seconds."""
    column = int(prediction.scores.argmax())
    peak = int(prediction.frame_scores[:, column].argmax())
    last = max(len(prediction.frame_scores) - window_frames, 0)
    start = int(np.clip(peak - window_frames // 2, 0, last))
    return prediction.labels[column], float(prediction.times_sec[start])


def _row(gate: GateValues, names: tuple[str, ...]) -> list[str | float]:
    connection, opened = describe_gate(gate, names).split("\n")
    values = gate.values
    figures = (gate.strength, values.min(), values.mean(), values.max())
    return [
        connection.partition(", strength")[0],
        opened,
        *(round(float(figure), 3) for figure in figures),
    ]


def _stem(video: Path) -> str:
    return file_stem(video.stem, room=len(".annotated.mp4"))


def _checked(video: Path, limits: DemoLimits) -> VideoInfo:
    size = video.stat().st_size if video.is_file() else 0
    if size > limits.megabytes * 1_000_000:
        raise UserError(
            f"A video must have at most {limits.megabytes} MB here. "
            f"Received: {video.name} with {size / 1e6:.0f} MB. Cut it, or use official-vision predict."
        )
    info = probe(video)
    if info.duration_sec is not None and info.duration_sec > limits.video_sec:
        raise _too_long(limits, f"{info.duration_sec:.0f} s")
    return info


def _too_long(limits: DemoLimits, received: str) -> UserError:
    return UserError(
        f"A video must last at most {limits.video_sec:g} s here. Received: {received}. "
        "Cut it, or use official-vision predict."
    )


class _Watch:
    """Stops work that takes too long, also where a file's header is wrong, and reports its progress."""

    def __init__(self, limits: DemoLimits, info: VideoInfo, progress: Progress):
        self._limits = limits
        self._duration_sec = info.duration_sec or limits.video_sec
        self._progress = progress
        self._begun = time.monotonic()

    def seen(self, time_sec: float, first: float, last: float, what: str) -> None:
        if time_sec > self._limits.video_sec:
            raise _too_long(self._limits, f"a frame at {time_sec:.1f} s")
        if time.monotonic() - self._begun > self._limits.work_sec:
            raise UserError(
                f"A video may take at most {self._limits.work_sec:g} s of work here. Received: one that "
                f"was at {time_sec:.1f} s by then. Cut it, or use official-vision predict."
            )
        share = min(time_sec / self._duration_sec, 1)
        self._progress(first + (last - first) * share, what)


def tidy(folder: str | os.PathLike, keep_sec: float) -> None:
    """Deletes files that have not changed for `keep_sec` seconds, and folders that are empty by then."""
    oldest = time.time() - keep_sec
    # Ages first: a folder changes when something in it is deleted. A folder's content comes before it.
    for path, changed in sorted(_ages(Path(folder)), reverse=True):
        if changed >= oldest:
            continue
        with contextlib.suppress(OSError):  # in use, gone already, or a folder with younger files
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()


def _ages(folder: Path) -> Iterator[tuple[Path, float]]:
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            yield path, path.stat().st_mtime
