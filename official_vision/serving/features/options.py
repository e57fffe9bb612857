"""Settings of features (no TensorFlow)."""

from __future__ import annotations

import dataclasses
from typing import Any

from official_vision.errors import UserError

HEAD, LOGITS = "head", "logits"
RATES = ("frame", "window")
LAYOUTS = ("TC", "CT")
FILES = ("npy", "h5")


@dataclasses.dataclass(frozen=True)
class FeatureOptions:
    """Settings of an extraction.

    Attributes:
      of: head: what the classifier reads; logits: what it computes; or a node's index: its output, averaged over
        height and width.
      per: frame: a row for each frame, the mean over the windows that show it, weighted towards their centres;
        window: a row for each window, of head and nodes the mean over its frames, of logits the clip's.
      stride: frames of the video from one window to the next; None takes half a window.
      window: frames that the network is shown at a time; None takes those of evaluation.
      batch_size: windows at a time.
      layout: TC: rows of time, columns of channels; CT: the reverse.
      file: npy or h5.
      broken_packet_share: share of a video's packets that may be undecodable; they are passed over.
    """

    of: str = HEAD
    per: str = "frame"
    stride: int | None = None
    window: int | None = None
    batch_size: int = 4
    layout: str = "TC"
    file: str = "npy"
    broken_packet_share: float = 0.0

    def __post_init__(self) -> None:
        """Raises UserError for a setting that is none of the above."""
        if self.of not in (HEAD, LOGITS) and not self.of.isdecimal():
            raise UserError(
                f"Features are of {HEAD}, {LOGITS} or a node's index. Received: {self.of!r}. "
                "official-vision inspect lists a network's nodes."
            )
        for name, choices in (("per", RATES), ("layout", LAYOUTS), ("file", FILES)):
            value = getattr(self, name)
            if value not in choices:
                raise UserError(f"{name} must be one of {', '.join(choices)}. Received: {value!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Returns all settings on which the results depend, as JSON values."""
        settings = dataclasses.asdict(self)
        del settings["batch_size"]
        return settings
