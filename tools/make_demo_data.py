"""Makes a small data set from real footage: make_demo_data --footage=DIR --output=DIR [--kind=KIND].

demo: clips of three scenes, played forward, reversed, at double speed and frozen (data/synthetic/demo_videos.py).
long_tail: clips of scenes that pan, 50 times as many of the commonest class as of the rarest (long_tail.py there).
planted: clips whose objects show which half counts, for studies of the search (data/synthetic/planted.py).
"""

from pathlib import Path

from absl import flags

from official_vision import cli, files
from official_vision.data.synthetic.demo_videos import make_demo_data
from official_vision.data.synthetic.long_tail import make_long_tail_data
from official_vision.data.synthetic.planted import make_planted_data
from official_vision.progress import tracked

_FOOTAGE = flags.DEFINE_string("footage", ".cache/footage", "Folder of the three source videos.")
_OUTPUT = flags.DEFINE_string("output", "demo/videos", "Folder for clips/ and annotations.csv.")
_KIND = flags.DEFINE_enum("kind", "demo", ["demo", "long_tail", "planted"], "Which data set.")


def main() -> None:
    """Writes the missing clips."""
    files.check_folder_writable(_OUTPUT.value, "--output")
    make = {
        "demo": make_demo_data,
        "long_tail": make_long_tail_data,
        "planted": make_planted_data,
    }[_KIND.value]
    count = make(
        Path(_FOOTAGE.value),
        Path(_OUTPUT.value),
        lambda clips: tracked(clips, len(clips), "cutting", "clips"),
    )
    print(f"{count} labelled clips in {_OUTPUT.value}")


if __name__ == "__main__":
    cli.run(main)
