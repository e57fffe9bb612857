"""Prints the greatest memory after 40 frames of a video and after all: VIDEO."""

from __future__ import annotations

import itertools
import resource
import sys

from official_vision.data.video import decode


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main():
    frames = decode(sys.argv[1])
    for _ in itertools.islice(frames, 40):
        pass
    early = peak()
    for _ in frames:
        pass
    print(early, peak())


if __name__ == "__main__":
    main()
