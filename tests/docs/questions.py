"""The mistakes of docs/faq.md, each made as a user makes it: heading -> function that returns what is printed."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import official_vision as ov
from official_vision.extras import missing
from official_vision.lock import folder_locked
from tests import commands
from tests.serving import exports
from tests.training import runs

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "faq.md"
BINDINGS = "--gin_bindings="
SMALL = ("ModelSpec.architecture = 'small.json'", "TrainSpec.model_dir = 'my_run'")
DATA = ("train/DataSpec.path = 'my_data/train'", "validation/DataSpec.path = 'my_data/validation'")


def shown() -> dict[str, str]:
    """Heading -> message, of the page; line breaks are spaces."""
    blocks = re.findall(r"^### ([^\n]+)\n+```message\n(.*?)```", PAGE.read_text(), re.M | re.S)
    return {heading: " ".join(message.split()) for heading, message in blocks}


def comparable(message: str, folder: Path) -> str:
    """A message as the page has it, where it differs from machine to machine."""
    message = message.replace(str(folder), "/data")
    return re.sub(r"process \d+ on \S+", "process 4711 on here", " ".join(message.split()))


def refused(folder: Path, tool: str, *flags: str) -> str:
    return commands.refusal(tool, *flags, cwd=folder)


def training(folder: Path, *bindings: str) -> str:
    return refused(folder, "train", *(f"{BINDINGS}{line}" for line in bindings))


def with_csv(folder: Path, text: str, classes: str = "") -> str:
    """What preparation of an annotation file prints."""
    (folder / "my_videos").mkdir()
    (folder / "my_videos" / "annotations.csv").write_text(text)
    if classes:
        (folder / "my_videos" / "classes.txt").write_text(classes)
    return refused(folder, "prepare_data", *prepared_by("my_videos/annotations.csv"))


def prepared_by(annotations: str, *bindings: str) -> list[str]:
    """The flags of preparation."""
    lines = (
        f"PrepareSpec.annotations = '{annotations}'",
        "PrepareSpec.output = 'my_data'",
        *bindings,
    )
    return [f"{BINDINGS}{line}" for line in lines]


def with_data(folder: Path, *bindings: str, streams: tuple[str, ...] = ("rgb",)) -> str:
    """What training on prepared data prints."""
    runs.save_small(folder, streams=streams)
    for split, scenes in (("train", range(4)), ("validation", range(4))):
        runs.write_split(folder / "my_data" / split, list(scenes), streams=("rgb",))
    return training(folder, *SMALL, *DATA, *bindings)


def other_classes(folder: Path) -> str:
    runs.save_small(folder, streams=("rgb",))
    runs.write_split(folder / "my_data" / "train", [0, 1], streams=("rgb",))
    classes = ("red", "green")
    runs.write_split(folder / "my_data" / "validation", [0, 1], streams=("rgb",), classes=classes)
    return training(folder, *SMALL, *DATA)


def not_prepared(folder: Path) -> str:
    runs.save_small(folder, streams=("rgb",))
    (folder / "my_videos" / "run").mkdir(parents=True)
    return training(folder, *SMALL, "train/DataSpec.path = 'my_videos'")


def older_shards(folder: Path) -> str:
    runs.save_small(folder, streams=("rgb",))
    runs.write_split(folder / "my_data" / "train", [0, 1], streams=("rgb",))
    index = folder / "my_data" / "train" / "index.json"
    index.write_text(re.sub(r'"version": \d+', '"version": 2', index.read_text(), count=1))
    return training(folder, *SMALL, *DATA)


def several_labels(folder: Path) -> str:
    runs.save_small(folder, streams=("rgb",))
    for split in ("train", "validation"):
        index = runs.write_split(folder / "my_data" / split, [0, 1, 2, 3], streams=("rgb",))
        labelling = dataclasses.replace(index.labelling, several="more/two.mov")
        dataclasses.replace(index, labelling=labelling).write(folder / "my_data" / split)
    return training(folder, *SMALL, *DATA, "ModelSpec.activation = 'softmax'")


def prepared_otherwise(folder: Path) -> str:
    for number in range(2):
        (folder / "my_videos" / "run").mkdir(parents=True, exist_ok=True)
        footage = REPOSITORY / ".cache" / "footage" / "carphone_pristine.mp4"
        exports.first_frames(footage, 4, folder / "my_videos" / "run" / f"{number}.mp4")
    lines = ("PrepareSpec.objects = 'none'", "PrepareSpec.flow = 'none'")
    done = commands.run("prepare_data", *prepared_by("my_videos", *lines), cwd=folder)
    assert done.returncode == 0, done.stderr
    flags = prepared_by("my_videos", *lines, "PrepareSpec.short_side = 128")
    return refused(folder, "prepare_data", *flags)


def locked(folder: Path) -> str:
    with folder_locked(folder / "my_run", "TrainSpec.model_dir", "training"):
        return with_data(folder)


def without_legacy_keras(_: Path) -> str:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "0"}
    command = [sys.executable, "-c", "import official_vision"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    return done.stderr.strip().splitlines()[-1]


def refusal_of(call: Callable[[], object]) -> str:
    try:
        call()
    except ov.UserError as error:
        return str(error)
    raise AssertionError("nothing was refused")


def floats_of_one(folder: Path) -> str:
    model = ov.build_model(str(runs.save_small(folder, streams=("rgb",))), num_classes=2)
    return refusal_of(lambda: model({"rgb": np.ones([1, 2, 32, 32, 3], np.float32)}))


def pickled(folder: Path) -> str:
    (folder / "resnet50.pth").write_bytes(b"\x80\x02}q\x00.")
    return refused(folder, "convert", "--checkpoint=resnet50.pth", "--output=runs/inflated")


def no_videos(folder: Path) -> str:
    exports.save_known_scores(folder / "my_export")
    (folder / "clips").mkdir()
    return refused(folder, "predict", "--model=my_export", "clips")


MADE: dict[str, Callable[[Path], str]] = {
    "A package is missing": lambda _: missing(ModuleNotFoundError(name="av")),
    "tf.keras is Keras 3": without_legacy_keras,
    "TensorFlow sees no GPU": lambda folder: with_data(
        folder, "TrainSpec.strategy = 'mirrored'", "TrainSpec.devices = 1"
    ),
    "A setting's name is not known": lambda folder: training(folder, "TrainSpec.step = 500"),
    "A setting's value is not possible": lambda folder: training(
        folder, "ModelSpec.gate = 'peers'"
    ),
    "A text has no quotes": lambda folder: training(folder, "ModelSpec.gate = self"),
    "A gin file is not there": lambda folder: refused(folder, "train", "--gin_file=own_vidoes.gin"),
    "A column is missing in the csv file": lambda folder: with_csv(
        folder, "file,labels\n1.mp4,run\n"
    ),
    "A label is no class": lambda folder: with_csv(
        folder, "path,labels,split\n1.mp4,runn,train\n", "run\njump\n"
    ),
    "There are too few videos to divide": lambda folder: with_csv(
        folder, "path,labels\n1.mp4,run\n"
    ),
    "The output folder has other shards": prepared_otherwise,
    "The data are not prepared": not_prepared,
    "The data lack a stream": lambda folder: with_data(folder, streams=("rgb", "flow")),
    "The splits have different classes": other_classes,
    "A clip has several labels": several_labels,
    "The shards are of another version": older_shards,
    "The warm-up is longer than the run": lambda folder: with_data(
        folder, "TrainSpec.steps = 100", "OptimizerSpec.warmup_steps = 500"
    ),
    "Another process uses the folder": locked,
    "There is no run in the folder": lambda folder: refused(
        folder, "evaluate", "--model_dir=my_run"
    ),
    "There is no export in the folder": lambda folder: refused(
        folder, "predict", "--model=my_run", "holiday.mp4"
    ),
    "There are no videos in the folder": no_videos,
    "rgb is from 0 to 1": floats_of_one,
    "The weights are pickled": pickled,
}
