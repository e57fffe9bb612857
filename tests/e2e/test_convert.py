"""tools/convert.py as a user runs it, and what takes its folder."""

import json
import re

import numpy as np
import pytest

from official_vision.training.checkpoints.restore import load_weights
from official_vision.training.clip_scoring import load_trained
from tests.commands import command, refusal
from tests.conversion import stored
from tests.training import runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Prepared data of four classes, their names, and a gin file of data and training."""
    folder = tmp_path_factory.mktemp("convert")
    data = runs.write_data(folder / "data")
    config = runs.config(data, folder / "unused", "assemblenet_plus_plus_50", steps=2)
    (folder / "data.gin").write_text(config.to_gin())
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in runs.CLASSES))
    return folder


@pytest.fixture(scope="module")
def converted(folder):
    """A run of the authors' port with a new classifier for the data."""
    flags = [
        f"--checkpoint={stored.DATA / 'v1_26'}",
        f"--output={folder / 'run'}",
        f"--gin_file={folder / 'data.gin'}",
        f"--labels={folder / 'labels.txt'}",
        "--num_classes=4",
    ]
    status, stdout, stderr = command("convert", *flags)
    assert (status, stderr) == (0, "")
    return folder / "run", stdout


def test_the_table_is_printed_and_kept(converted):
    run, stdout = converted
    assert "v1_26/ckpt-0: authors-tf2, " in stdout.splitlines()[0]
    table = (run / "coverage.txt").read_text()
    assert table in stdout
    assert re.search(r"^head +36 +0\.0 % +0\.0 % +100\.0 %$", table, re.M)
    figures = json.loads((run / "coverage.json").read_text())
    assert figures["parameters"]["initial"] == 36
    assert (run / "labels.txt").read_text().split() == list(runs.CLASSES)


@pytest.mark.slow
def test_inspect_and_evaluate_take_the_folder(converted, tmp_path):
    run, _ = converted
    status, stdout, stderr = command("inspect_network", f"--model_dir={run}")
    assert (status, stderr) == (0, "")
    assert "assemblenet_26" in stdout
    report = tmp_path / "evaluation.json"
    status, _, stderr = command("evaluate", f"--model_dir={run}", f"--json={report}")
    assert status == 0, stderr  # XLA reports that the computed flow was compiled
    assert len(json.loads(report.read_text())["classes"]) == 4
    # The same folder with names in another order: its classifier means other classes than the data.
    labels = run / "labels.txt"
    labels.write_text("green\nred\nblue\ngrey\n")
    line = refusal("evaluate", f"--model_dir={run}")
    labels.write_text("".join(f"{name}\n" for name in runs.CLASSES))
    assert "whose class 0 is 'red' and 'green'" in line


@pytest.mark.slow
def test_its_weights_begin_a_training_and_export_takes_it(converted, tmp_path):
    run, _ = converted
    # As a training does with TrainSpec.init_checkpoint.
    lines = "\n".join(load_weights(load_trained(run).model, str(run)))
    loaded = re.search(r"initialised (\d+) of (\d+) weights", lines)
    assert int(loaded[1]) == int(loaded[2]) > 100
    status, _, stderr = command(
        "export", f"--model_dir={run}", f"--output={tmp_path / 'served'}", "--clips=2"
    )
    assert status == 0, stderr
    described = json.loads((tmp_path / "served" / "1" / "assets" / "model.json").read_text())
    assert described["labels"] == list(runs.CLASSES)


def test_averages_reach_the_folder_whole(tmp_path):
    run = tmp_path / "run"
    path = stored.prefix("v1_26")
    status, _, stderr = command("convert", f"--checkpoint={path}", f"--output={run}", "--ema")
    assert (status, stderr) == (0, "")
    io = np.load(stored.DATA / "v1_26" / "io.npz")
    assert np.abs(stored.logits_of(load_trained(run).model, io["x"]) - io["ema"]).max() < 1e-5


def test_mistakes_get_one_line_and_leave_nothing(folder, tmp_path):
    checkpoint = f"--checkpoint={stored.prefix('plus_26')}"
    output = tmp_path / "run"
    assert "must be set" in refusal("convert", checkpoint)
    assert "Did you mean 'authors-tf2'" in refusal(
        "convert", checkpoint, f"--output={output}", "--source=author-tf2"
    )
    line = refusal("convert", checkpoint, f"--output={output}", f"--labels={folder}/labels.txt")
    assert "4 names for 5 classes" in line
    line = refusal("convert", f"--checkpoint={folder / 'labels.txt'}", f"--output={output}")
    assert "of a known format" in line
    line = refusal("convert", checkpoint, f"--output={folder}")
    assert "--output must be a new or empty folder" in line
    assert list(tmp_path.iterdir()) == []
