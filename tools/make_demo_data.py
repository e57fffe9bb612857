"""Cuts the demo's clips from real footage: make_demo_data --footage=DIR --output=DIR."""

from pathlib import Path

from absl import flags
from tqdm import tqdm

from official_vision import cli
from official_vision.data.demo import make_demo_data

_FOOTAGE = flags.DEFINE_string("footage", ".cache/footage", "Folder of the three source videos.")
_OUTPUT = flags.DEFINE_string("output", "demo/videos", "Folder for clips/ and annotations.csv.")


def main() -> None:
    """Writes the clips that are missing."""
    count = make_demo_data(
        Path(_FOOTAGE.value),
        Path(_OUTPUT.value),
        lambda clips: tqdm(clips, "cutting clips", disable=None, leave=False),
    )
    print(f"{count} labelled clips in {_OUTPUT.value}")


if __name__ == "__main__":
    cli.run(main)
