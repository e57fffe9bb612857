"""The packages of the wheel: those of official_vision, and gin_configs as official_vision.gin_configs."""

from pathlib import Path

from setuptools import find_packages, setup

FOLDERS = [Path("gin_configs"), *(path for path in Path("gin_configs").rglob("*") if path.is_dir())]
CONFIGS = {".".join(["official_vision", *folder.parts]): str(folder) for folder in sorted(FOLDERS)}

setup(
    packages=[*find_packages(include=["official_vision*"]), *CONFIGS],
    package_dir=CONFIGS,
)
