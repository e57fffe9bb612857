"""Predictions in Python, of files, folders, arrays and streams of frames."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from official_vision.data.video import FrameSequence, VideoError
from official_vision.errors import check_names
from official_vision.serving.live.live_stream import LiveStream
from official_vision.serving.live.options import LiveOptions
from official_vision.serving.predict.options import PredictOptions
from official_vision.serving.predict.predictor import Prediction
from official_vision.serving.predict.predictor import Predictor as VideoPredictor
from official_vision.serving.videos.video_list import find_videos

Source = str | os.PathLike | np.ndarray | Iterable[tuple[float, np.ndarray]]


class Predictor:
    """Classifies videos with an exported model.

        predictor = Predictor("exported", threshold=0.3)
        predictor("video.mp4").segments               # a file
        predictor("folder")                           # every video below a folder, by its path
        predictor(array, fps=25)                      # uint8 [time, height, width, 3]
        predictor((seconds, frame) for ... )          # frames as they come, each uint8 [height, width, 3]
        predictor.stream("rtsp://camera/1")           # results while the video arrives

    Videos of any length take the memory of one batch of windows.
    """

    def __init__(self, model: str | os.PathLike, **options: Any):
        """
        Args:
          model: folder that `export` wrote, of which the newest version is taken, or a .tflite, .onnx or
            .stablehlo file in it.
          **options: fields of `official_vision.serving.predict.options.PredictOptions`, e.g. stride, pooling,
            batch_size, threshold.

        Raises:
          UserError: no exported model lies there, or options that it can't follow.
        """
        check_names(options, PredictOptions.__dataclass_fields__, "a prediction")
        self._predictor = VideoPredictor(model, PredictOptions(**options))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of scores."""
        return self._predictor.description.labels

    def __call__(
        self, source: Source, *, fps: float | None = None
    ) -> Prediction | dict[str, Prediction]:
        """Classifies a video or a folder of videos.

        Args:
          source: a path, an array uint8 [time, height, width, 3] of rgb frames, or an iterable of (seconds,
            frame) pairs whose times rise.
          fps: frames per second of an array; of other sources it is known.

        Returns:
          A Prediction: `scores` [classes], `frame_scores` [frames, classes], `times_sec`, `segments`. Of a folder a
          dict of them by path; a video that can't be decoded is left out with a warning.

        Raises:
          VideoError: a video or frames that can't be decoded, or something that is no source.
        """
        if isinstance(source, (str, os.PathLike)):
            return self._of_path(source)
        if isinstance(source, np.ndarray):
            return self._predictor.predict(FrameSequence.of_array(source, fps))
        if not isinstance(source, Iterable):
            raise VideoError(
                "A prediction takes a path, an array, or an iterable of (seconds, frame). "
                f"Received: {type(source).__name__}."
            )
        return self._predictor.predict(FrameSequence(source))

    def stream(
        self, source: str | os.PathLike | Iterable[tuple[float, np.ndarray]], **options: Any
    ) -> LiveStream:
        """Scores a video while it arrives, window by window, in bounded memory.

            for result in predictor.stream("rtsp://camera/1"):
                print(result.end_sec, result.scores, result.delay_sec)

        Args:
          source: an address of rtsp, rtmp, udp, rtp, srt, tcp or http, a camera's number, a named pipe, - for
            standard input, a file, or an iterable of (seconds, frame) pairs whose times rise.
          **options: fields of `official_vision.serving.live.options.LiveOptions`, e.g. real_time, patience_sec.

        Returns:
          An iterator of results, each with `start_sec`, `end_sec`, `scores` [classes] and `delay_sec`. Its `counts`
          are the numbers of windows and frames that were left out because the machine was too slow, and of lost
          connections.

        Raises:
          UserError: unknown options. VideoError, while it is iterated: no frame can be read.
        """
        check_names(options, LiveOptions.__dataclass_fields__, "a live video")
        return LiveStream(self._predictor, source, LiveOptions(**options))

    def _of_path(self, path: str | os.PathLike) -> Prediction | dict[str, Prediction]:
        if not Path(path).is_dir():
            return self._predictor.predict(path)
        predictions = {}
        for video in find_videos([os.fspath(path)], []):
            try:
                predictions[video] = self._predictor.predict(video)
            except VideoError as error:
                warnings.warn(f"left out: {error}", stacklevel=3)
        return predictions
