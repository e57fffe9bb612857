"""Holds a folder's lock for a minute: FOLDER."""

from __future__ import annotations

import sys
import time

from official_vision.lock import folder_locked


def main():
    with folder_locked(sys.argv[1], "TrainSpec.model_dir", "training"):
        print("held", flush=True)
        time.sleep(60)


if __name__ == "__main__":
    main()
