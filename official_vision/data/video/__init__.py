"""Videos, frame by frame: use `decode` and `probe`."""

from official_vision.data.video.decoding import Frame, decode
from official_vision.data.video.report import DecodingReport
from official_vision.data.video.source import VideoError, VideoInfo, probe

__all__ = ["DecodingReport", "Frame", "VideoError", "VideoInfo", "decode", "probe"]
