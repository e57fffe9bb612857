"""Prints how many windows each video has and the greatest memory up to its end: MODEL VIDEO..."""

from __future__ import annotations

import re
import sys

import numpy as np

from official_vision.data.objects.detectors import OpenCvDetectors
from official_vision.serving.predict.predictor import Predictor


def detect_nothing(self, rgb):  # noqa: ARG001 - a method
    """Stands for the detectors, which are slow."""
    return np.zeros(rgb.shape[:2], np.uint8)


def main():
    OpenCvDetectors.__call__ = detect_nothing
    predictor = Predictor(sys.argv[1])
    for video in sys.argv[2:]:
        result = predictor.predict(video)
        # Not getrusage: its figure begins with that of the process that started this one.
        with open("/proc/self/status") as status:
            print(len(result.frame_scores), re.search(r"VmHWM:\s*(\d+)", status.read())[1])


if __name__ == "__main__":
    main()
