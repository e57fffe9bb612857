"""Videos, frame by frame: use `decode`, `probe` and `FrameSequence`."""

from official_vision.data.video.decoding import Frame, decode
from official_vision.data.video.frame_sequence import FrameSequence
from official_vision.data.video.report import DecodingReport
from official_vision.data.video.source import VideoError, VideoInfo, probe

__all__ = [
    "DecodingReport",
    "Frame",
    "FrameSequence",
    "VideoError",
    "VideoInfo",
    "decode",
    "probe",
]
