"""Odd but legal videos: what recorders, phones, editors and cut-and-paste make of a plain one.

Frame n of every video is grey 8 * n, 64 x 48 pixels, at 25 frames per second unless stated otherwise.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.stream import Disposition

RATE = 25
STEP = Fraction(1, RATE)


def greys(count, height=48, width=64, first=0):
    return [np.full((height, width, 3), 8 * (first + n), np.uint8) for n in range(count)]


def levels(frames):
    """Returns the numbers that frames' greys encode."""
    return [round(float(frame.rgb.mean()) / 8) for frame in frames]


def write(
    path, frames, *, codec="libx264", matrix=None, aspect=None, start_sec=0.0, pipe=None, **options
):
    """Encodes uint8 [height, width, 3] frames; `pipe`: format to write without going back; `options`: the codec's."""
    muxing = {"avoid_negative_ts": "disabled"}
    target = str(path) if pipe is None else _Pipe(path)
    with av.open(target, "w", format=pipe, options=muxing) as container:
        stream = container.add_stream(codec, rate=RATE, options={"threads": "1", **options})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        stream.codec_context.time_base = STEP
        if matrix is not None:
            stream.set_display_matrix(matrix)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for number, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            picture.pts, picture.time_base = round(start_sec * RATE) + number, STEP
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def remux(source, path, change=None, *, sound_sec=0.0, cover_first=False):
    """Copies packets into another file; `change` may alter each. Silence may lie beside them from 0 on."""
    muxing = {"avoid_negative_ts": "disabled"}
    with av.open(str(source)) as plain, av.open(str(path), "w", options=muxing) as container:
        if cover_first:
            cover = container.add_stream("mjpeg", rate=RATE)
            cover.height, cover.width, cover.pix_fmt = 96, 96, "yuvj420p"
        pictures = container.add_stream_from_template(plain.streams.video[0])
        if sound_sec:
            _add_silence(container, sound_sec)
        if cover_first:
            art = av.VideoFrame.from_ndarray(greys(1, 96, 96, first=20)[0], "rgb24")
            container.mux([*cover.encode(art.reformat(format="yuvj420p")), *cover.encode()])
        for number, packet in enumerate(plain.demux(video=0)):
            if packet.size:
                if change is not None:
                    change(number, packet)
                packet.stream = pictures
                container.mux(packet)
    return path


class _Pipe:
    """A file that can't go back."""

    def __init__(self, path):
        self._path = path
        path.write_bytes(b"")

    def write(self, content):
        with open(self._path, "ab") as file:
            return file.write(content)


def moved(seconds, from_number=0):
    """A change for `remux`: packets from a number on come later."""

    def change(number, packet):
        if number >= from_number:
            ticks = round(seconds / packet.time_base)
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks

    return change


def held_until(seconds, at_number):
    """A change for `remux`: a packet lasts so long."""

    def change(number, packet):
        if number == at_number:
            packet.duration = round(seconds / packet.time_base)

    return change


def song(path):
    """Sound with cover art."""
    with av.open(str(path), "w", format="mp4") as container:
        cover = container.add_stream("mjpeg", rate=RATE)
        cover.height, cover.width, cover.pix_fmt = 96, 96, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        cover.codec_context.time_base = STEP
        art = av.VideoFrame.from_ndarray(greys(1, 96, 96, first=20)[0], "rgb24")
        _add_silence(container, 1.0)
        container.mux([*cover.encode(art.reformat(format="yuvj420p")), *cover.encode()])
    return path


def joined(path, *parts):
    """One file after the other, as `cat` joins them."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def broken(source, path, number):
    """Makes one packet of H.264 undecodable: its first unit has no start, or is longer than the packet."""
    with av.open(str(source)) as container:
        head = 8 if container.format.name == "avi" else 0  # of a chunk: its name and length
        places = [head + packet.pos for packet in container.demux(video=0) if packet.size]
    content = bytearray(source.read_bytes())
    content[places[number] : places[number] + 4] = b"\x7f\xff\xff\xff"
    path.write_bytes(content)
    return path


def _add_silence(container, seconds):
    sounds = container.add_stream("mp2", rate=16000, layout="mono")
    for number in range(int(seconds * 16000 / 1152)):
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), "s16", "mono")
        sound.sample_rate, sound.pts = 16000, 1152 * number
        container.mux(sounds.encode(sound))
    container.mux(sounds.encode())
