"""A run's folder, copied alone to where its data are not, serves every command as before."""

import json
import re
import shutil

import numpy as np
import pytest

import official_vision as ov
from official_vision.data.storage.index import Index
from tests import commands
from tests.serving import exports
from tests.training import runs

NAME = "it's ü %s {x} *?"


def done(tool, *flags):
    """Runs a command that must succeed; returns what it printed."""
    finished = commands.run(tool, *flags)
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


def figures_of(folder, report, data):
    """Figures of `evaluate` on other data."""
    done("evaluate", f"--model_dir={folder}", f"--data={data}", f"--json={report}")
    evaluated = json.loads(report.read_text())
    return {name: evaluated[name] for name in ("mAP", "top_1", "classes", "intervals")}


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """Trains a run to step 4 and notes its figures; copies it; deletes it, its graph's file and its data.

    Returns the folder in which these lie: the copy NAME/run, the figures before, the same data elsewhere, other
    data, and a video.
    """
    folder = tmp_path_factory.mktemp("moved")
    data, others = runs.write_data(folder / "data"), runs.write_data(folder / "others")
    runs.write_split(others / "test", [3, 2, 1, 0], seed=700)
    graph = runs.save_small(folder, streams=("rgb",))
    (folder / "run.gin").write_text(runs.config(data, folder / "run", graph, steps=4).to_gin())
    done("train", f"--gin_file={folder}/run.gin")
    figures = figures_of(folder / "run", folder / "evaluation.json", others / "test")
    (folder / "before.json").write_text(json.dumps(figures))
    shutil.copytree(folder / "run", folder / NAME / "run", symlinks=True)
    shutil.copytree(data, folder / "elsewhere")
    for path in ("data", "run"):
        shutil.rmtree(folder / path)
    for path in ("small.json", "run.gin"):
        (folder / path).unlink()
    assert not [path for path in (folder / NAME).rglob("*") if path.is_symlink()]
    frames = [np.full((40, 48, 3), (200, 40 + 8 * t, 40), np.uint8) for t in range(8)]
    exports.write_video(folder / "video.mp4", frames)
    return folder


@pytest.mark.slow
def test_figures_are_those_before_and_files_compute_the_same(moved, tmp_path):
    copy = moved / NAME / "run"
    figures = figures_of(copy, tmp_path / "evaluation.json", moved / "others" / "test")
    assert figures == json.loads((moved / "before.json").read_text())
    # Of the network with those figures: what is exported is compared with it.
    version = tmp_path / "export" / "1"
    # A network that has hardly learned is far from its int8 file.
    flags = [f"--output={version.parent}", "--tflite=int8", "--limit=1"]
    done("export", f"--model_dir={copy}", *flags)
    files = json.loads((version / "parity.json").read_text())["files"]
    assert files.keys() == {"SavedModel", "TFLite int8"}
    assert files["SavedModel"]["clips"] == 3  # of 6; the other half calibrates int8
    assert files["SavedModel"]["difference"] < 1e-5
    described = json.loads((version / "assets" / "model.json").read_text())
    index = Index.read(moved / "elsewhere" / "validation")
    assert described["data_fingerprint"] == index.fingerprint
    assert described["labels"] == list(runs.CLASSES)
    assert described["object_classes"] == ["none", "a", "b", "c"]
    assert described["checkpoint"]["step"] == 4
    scores = ov.Predictor(version.parent)(moved / "video.mp4").scores
    assert scores.sum() == pytest.approx(1, abs=1e-4)  # softmax of one label per clip
    run = ov.load_run(copy)
    assert (run.labels, run.object_classes) == (runs.CLASSES, ("none", "a", "b", "c"))
    assert (run.preparation.short_side, run.preparation.objects) == (runs.SIZE, "opencv")
    assert run.checkpoint.startswith(f"{copy}/best/")
    assert ov.extract_features(run, moved / "video.mp4").values.shape[0] == 8


@pytest.mark.slow
def test_commands_that_need_no_data_work_and_others_name_what_is_missing(moved, tmp_path):
    flag = f"--model_dir={moved / NAME / 'run'}"
    sheet = f"--output={tmp_path / 'sheet.png'}"
    printed = done("explain", flag, f"--video={moved / 'video.mp4'}", sheet)
    assert printed.split(":")[0] in runs.CLASSES
    assert "strength" in done("inspect_network", flag)
    assert "TrainSpec.steps = 4\n" in done("config", "show", moved / NAME / "run")
    runs.write_split(tmp_path / "renamed", [0, 1], classes=("red", "Green", "blue", "grey"))
    bracketed = tmp_path / "run[1]"
    shutil.copytree(moved / NAME / "run", bracketed)
    for tool, flags, words in (
        ("evaluate", [], f"{moved}/data/validation. Name their folder by --data."),
        ("evaluate", [f"--data={tmp_path / 'renamed'}"], "class 1 is 'Green' and 'green'"),
        ("explain", ["--record=0", sheet], "Name their folder by --data."),
        ("inspect_network", [f"--model_dir={bracketed}"], "Rename the folder, or name a link"),
        ("train", [f"--gin_file={bracketed}/config.gin"], "TrainSpec.model_dir must have no [ and"),
        ("recompute_norms", [], f"{moved}/data/train. Name their folder by --train_data."),
    ):
        flags = flags if bracketed.name in str(flags) else [flag, *flags]
        assert words in commands.refusal(tool, *flags)


@pytest.mark.slow
def test_training_goes_on_with_the_data_elsewhere_and_others_start_from_it(moved):
    copy, elsewhere = moved / NAME / "run", moved / "elsewhere"
    fine_tuned = [
        f"--gin_file={copy}/config.gin",
        "--gin_bindings=TrainSpec.steps = 1",
        f"--gin_bindings=TrainSpec.model_dir = '{moved}/tuned'",
        f"--gin_bindings=TrainSpec.init_checkpoint = {str(copy)!r}",
        f"--gin_bindings=train/DataSpec.path = '{moved}/others/train'",
        f"--gin_bindings=validation/DataSpec.path = '{moved}/others/validation'",
    ]
    (count,) = set(re.findall(r"initialised (\d+) of \1 weights", done("train", *fine_tuned)))
    assert int(count) > 20
    paths = [
        f"--gin_bindings={split}/DataSpec.path = '{elsewhere}/{split}'"
        for split in ("train", "validation")
    ]
    resumed = [f"--gin_file={copy}/config.gin", *paths, "--gin_bindings=TrainSpec.steps = 5"]
    devices, first, *lines = done("train", *resumed).splitlines()
    assert devices.startswith("devices: ")
    assert first == f"resuming {copy} at step 4 of 5"
    assert not [line for line in lines if line.startswith("changed")]
    assert lines[-1].startswith("trained to step 5")
    assert not (moved / "run").exists()
    flags = [f"--data={moved}/others/test", f"--train_data={moved}/others/train"]
    printed = done("recompute_norms", f"--model_dir={copy}", "--checkpoint=latest", *flags)
    assert printed.startswith(f"{copy}/ckpt-5: statistics of 10 batches")
