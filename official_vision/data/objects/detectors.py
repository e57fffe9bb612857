"""Object ids of a frame from OpenCV's detectors, painted as boxes; nothing is downloaded.

A stand-in: in frames whose shorter side is 160 pixels the cascades know upright faces from some 24 pixels on and
detect few bodies; the HOG people detector knows people of 128 pixels and more who stand upright, which few frames
show. In 79 s of pedestrians they detected none. Larger frames don't help: false eyes increase faster than true
bodies, and frames of 256 pixels took 2.6 times as long. A segmentation network (saved_model:PATH, tflite:PATH) is
better wherever there is one.
"""

from __future__ import annotations

import functools
import os

import cv2
import numpy as np

# Id -> (name, cascade file). Painted in this order: whole bodies first, so that what lies on them shows.
OPENCV_CLASSES = (
    ("none", None),
    ("full body", "haarcascade_fullbody.xml"),
    ("person", None),  # the HOG people detector
    ("upper body", "haarcascade_upperbody.xml"),
    ("lower body", "haarcascade_lowerbody.xml"),
    ("profile face", "haarcascade_profileface.xml"),
    ("frontal face", "haarcascade_frontalface_default.xml"),
    ("eye", "haarcascade_eye.xml"),
)
OPENCV_CLASS_NAMES = tuple(name for name, _ in OPENCV_CLASSES)
_PERSON = 2
_HOG_WINDOW = (64, 128)
_SCALE_STEP = 1.25
# Shorter side of the frames that detectors see. Cascades know faces from 20-24 pixels on, so smaller frames are
# enlarged. Larger ones are reduced: time follows the pixels, and most of it goes to the smallest faces and bodies.
_SIDE = 160
_NEIGHBOURS = 3


class OpenCvDetectors:
    """Haar cascades and the HOG people detector; ids are positions in OPENCV_CLASSES."""

    def __init__(self) -> None:
        folder = cv2.data.haarcascades
        self._cascades = {
            index: cv2.CascadeClassifier(os.path.join(folder, file))
            for index, (_, file) in enumerate(OPENCV_CLASSES)
            if file
        }
        self._people = cv2.HOGDescriptor()
        self._people.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """Detects objects.

        Args:
          rgb: uint8 [height, width, 3].

        Returns:
          uint8 ids [height, width]; 0 where nothing was detected.
        """
        grey = cv2.equalizeHist(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
        scale = _SIDE / min(grey.shape)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        resized = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=way)
        ids = np.zeros(grey.shape, np.uint8)
        for index in range(1, len(OPENCV_CLASSES)):
            for box in self._boxes(index, resized):
                x, y, width, height = np.rint(np.asarray(box) / scale).astype(int)
                ids[max(y, 0) : y + height, max(x, 0) : x + width] = index
        return ids

    def _boxes(self, index: int, grey: np.ndarray) -> np.ndarray:
        if index != _PERSON:
            return self._cascades[index].detectMultiScale(grey, _SCALE_STEP, _NEIGHBOURS)
        if grey.shape[1] < _HOG_WINDOW[0] or grey.shape[0] < _HOG_WINDOW[1]:
            return np.zeros((0, 4), np.int32)
        return self._people.detectMultiScale(grey, winStride=(8, 8), scale=_SCALE_STEP)[0]


@functools.cache
def opencv_detectors() -> OpenCvDetectors:
    """Returns the process's detectors: reading the cascades takes longer than using them once."""
    return OpenCvDetectors()
