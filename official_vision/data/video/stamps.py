"""Assigns time stamps to frames: decoders return frames in another order than packets came."""

from __future__ import annotations

from collections import deque

from av.packet import Packet
from av.video.frame import VideoFrame

# More packets than any decoder delays: then there is not one frame per packet.
_MOST_HELD = 128


class FrameStamps:
    """The time stamps of packets, handed out to frames.

    Where packets are stored in the order of decoding and their stamps rise nevertheless, these are no
    times of presentation: the k-th frame that is shown takes the k-th stamp. As soon as a stamp falls,
    each frame's stamp is believed.
    """

    def __init__(self, in_decoding_order: bool):
        """Args:
        in_decoding_order: the container knows no times of presentation (AVI).
        """
        self._by_decoding = in_decoding_order
        self._rising = True
        self._begun = False
        self._queue: deque[int | None] = deque()
        self._known: set[int] = set()
        self._last: int | None = None

    def sent(self, packet: Packet) -> None:
        """Notes a packet before it is decoded."""
        self._begun = self._begun or packet.is_keyframe
        if not packet.size or packet.is_discard:
            return
        stamp = packet.dts if self._by_decoding else packet.pts
        if stamp is not None:
            if self._last is not None and stamp < self._last:
                self._rising = False
            self._last = stamp
            self._known.add(stamp)
        if self._begun:  # decoders drop what comes before the first key frame
            self._queue.append(stamp)
        if len(self._queue) > _MOST_HELD:
            self._rising = False
        if not self._rising:
            self._queue.clear()

    def lost(self) -> None:
        """Notes that an error came in place of a frame."""
        if self._queue:
            self._queue.popleft()

    def of(self, picture: VideoFrame, reorders: bool) -> int | None:
        """Returns the stamp of the next frame; None where the file has none.

        Args:
          picture: as it was decoded. PyAV puts a time of decoding where there is none of presentation.
          reorders: whether the decoder may change the order.
        """
        queued = self._queue.popleft() if self._queue else None
        if self._rising and (self._by_decoding or reorders):
            return queued
        if picture.pts not in self._known:
            return None
        self._known.discard(picture.pts)
        if len(self._known) > 2 * _MOST_HELD:  # of frames that never came
            self._known = {stamp for stamp in self._known if stamp > picture.pts}
        return picture.pts
