"""The interface of a reader of annotations: its function, and its inputs besides the path."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

from official_vision.data.annotations.manifest import Manifest
from official_vision.errors import UserError, nearest


@dataclasses.dataclass(frozen=True)
class Reader:
    """One format of annotations.

    Attributes:
      read: path -> Manifest; a reader with protocols takes the protocol's name as well, one that
        locates videos takes their folder as well (keyword `videos`).
      protocols: names of the data set's divisions into splits; empty where there is one.
      locates_videos: the files do not say in which folder a video lies: the reader looks.
    """

    read: Callable[..., Manifest]
    protocols: tuple[str, ...] = ()
    locates_videos: bool = False

    def __call__(
        self, path: str | os.PathLike, protocol: str = "", videos: str | os.PathLike = ""
    ) -> Manifest:
        """Reads the annotations.

        Args:
          path: of the annotation file, or of the folder of a data set's official files.
          protocol: one of `protocols`; empty where there are none.
          videos: the folder of videos.

        Raises:
          UserError: a protocol that the format does not have, or a mistake in a file, by its line.
        """
        further = {"videos": videos} if self.locates_videos else {}
        if self.protocols:
            further["protocol"] = self._checked(protocol)
        elif protocol:
            raise UserError(
                "PrepareSpec.protocol is for data sets with several divisions into splits. "
                f"Received: {protocol!r} for a format that has one. Leave it out."
            )
        return self.read(path, **further)

    def _checked(self, protocol: str) -> str:
        if protocol in self.protocols:
            return protocol
        raise UserError(
            f"PrepareSpec.protocol must be one of {', '.join(self.protocols)} for these annotations. "
            f"Received: {protocol!r}. {nearest(protocol, self.protocols)}"
        )
