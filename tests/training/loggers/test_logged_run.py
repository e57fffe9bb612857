"""A run with every logger that early stopping ends, and the same run killed at a checkpoint and started again."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.private_apis import determinism_switch
from official_vision.training import run as training
from official_vision.training.observation.history import HISTORY_FILE
from official_vision.training.observation.jsonlines import read_lines
from official_vision.training.run import summary_line, train
from tests.training import runs
from tests.training.loggers.wandb_files import runs_in
from tests.training.observation.test_observer import events

pytestmark = pytest.mark.slow
mlflow = pytest.importorskip("mlflow")
pytest.importorskip("wandb")

REASON = "early stopping: mAP has not risen by more than 2 in 3 evaluations since "


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """Both runs, (configuration, result, folder) each. mAP cannot rise by more than 2: patience ends them."""
    folder = tmp_path_factory.mktemp("logged")
    data, graph = runs.write_data(folder / "data"), runs.save_small(folder, streams=("rgb",))
    config = runs.config(
        data,
        folder / "run",
        graph,
        steps=20,
        validation_interval=2,
        checkpoint_interval=4,
        checkpoints_kept=9,
        loggers=("csv", "tensorboard", "mlflow", "wandb"),
        norms_interval=2,
        early_stopping_patience=3,
        early_stopping_min_delta=2.0,
        deterministic=True,
        dropout_rate=0.3,
        mixup_alpha=0.3,
        brightness=0.2,
    )
    deterministic = []

    def watched(*arguments):
        deterministic.append(determinism_switch()[2]())
        return inner(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        inner = training.train_from_checkpoint
        patch.setattr(training, "train_from_checkpoint", watched)
        whole = config, train(config), folder / "run"
        runs_in(folder / "run", 1)  # all of it is written
        runs.set_back(folder / "run", folder / "again", 4)
        (folder / "again" / "result.json").unlink()
        shutil.rmtree(folder / "again" / "train")  # events of a killed run go on in another file
        shutil.rmtree(folder / "again" / "wandb")
        other = dataclasses.replace(
            config, train=dataclasses.replace(config.train, model_dir=str(folder / "again"))
        )
        resumed = other, train(other), folder / "again"
    assert deterministic == [True, True]
    return whole, resumed


def table(path):
    """Rows by step; a cell without a value is left out."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = [{name: float(cell) for name, cell in row.items() if cell} for row in rows]
    assert len({row["step"] for row in numbers}) == len(numbers)
    return {int(row.pop("step")): row for row in numbers}


def test_patience_ends_both_runs_at_the_same_step(logged):
    """Counted from the start of its process, the second would end at step 12."""
    for config, result, folder in logged:
        assert result.step == 8 < config.train.steps
        assert result.reason.startswith(REASON)
        assert result.reason.endswith("at step 2")
        assert summary_line(result).endswith(f"; {result.reason}")
        written = json.loads((folder / "result.json").read_text())
        assert (written["step"], written["reason"]) == (8, result.reason)
        assert (folder / "ckpt-8.index").is_file()
        assert read_lines(folder / "learned.jsonl")[-1]["step"] == 8


def test_a_run_that_ended_early_ends_at_once_when_started_again(logged):
    config, result, folder = logged[0]
    before = {path: path.read_bytes() for path in (folder / "result.json", folder / "training.csv")}
    quiet = dataclasses.replace(config, train=dataclasses.replace(config.train, loggers=("csv",)))
    again = train(quiet)
    assert (again.step, again.reason, again.figures) == (8, result.reason, result.figures)
    assert {path: path.read_bytes() for path in before} == before


def test_deterministic_runs_have_the_same_bits_even_after_a_kill(logged):
    for step in (4, 8):
        first, second = (
            tf.train.load_checkpoint(str(folder / f"ckpt-{step}")) for _, _, folder in logged
        )
        counts = ("_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter/.ATTRIBUTES/VARIABLE_VALUE")
        names = first.get_variable_to_shape_map().keys() - {*counts}
        assert len(names) > 60
        for name in names:
            np.testing.assert_array_equal(first.get_tensor(name), second.get_tensor(name), name)
    assert not determinism_switch()[2]()


def test_csv_files_have_what_tensorboard_and_the_history_have(logged):
    _, result, folder = logged[0]
    rows = table(folder / "training.csv")
    shown = events(folder / "train")
    assert list(rows) == [2, 4, 6, 8]
    losses = {
        r["step"]: r["loss"] for r in read_lines(folder / HISTORY_FILE) if r["kind"] == "loop"
    }
    for step, row in rows.items():
        assert row["training_loss"] == losses[step]
        assert ("gradient_norm/stem_rgb" in row) == (step in (4, 8))  # every second report
        for name, value in row.items():
            assert float(shown[name][step]) == pytest.approx(value, rel=1e-6, nan_ok=True)
    evaluations = table(folder / "evaluations.csv")
    assert list(evaluations) == [2, 4, 6, 8]
    assert evaluations[8] == result.figures


def test_csv_files_of_the_killed_run_are_those_of_the_other(logged):
    times = {"seconds", "input_wait_share"}
    for name in ("training.csv", "evaluations.csv"):
        first, second = (table(folder / name) for _, _, folder in logged)
        assert first.keys() == second.keys()
        for step, row in first.items():
            assert {k: v for k, v in row.items() if k not in times} == {
                k: v for k, v in second[step].items() if k not in times
            }


def test_mlflow_has_every_point_once_also_after_a_kill(logged):
    for config, _, folder in logged:
        client = mlflow.MlflowClient(tracking_uri=(folder / "mlruns").as_uri())
        (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
        assert run.info.status == "FINISHED"
        assert run.data.params["train.norms_interval"] == "2"
        assert run.data.params["train_data.mixup_alpha"] == str(config.train_data.mixup_alpha)
        for kind, file in (("train", "training.csv"), ("validation", "evaluations.csv")):
            rows = table(folder / file)
            for name in {name for row in rows.values() for name in row} - {
                "seconds",
                "input_wait_share",
            }:
                points = client.get_metric_history(run.info.run_id, f"{kind}/{name}")
                expected = [(step, row[name]) for step, row in rows.items() if name in row]
                assert [(point.step, point.value) for point in points] == expected


def test_wandb_has_the_rows_of_each_process_under_one_id(logged):
    (first,), (second,) = (runs_in(folder, 1) for _, _, folder in logged)
    assert first.name == second.name
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.config["train.early_stopping_patience"] == 3
    assert (list(first.steps), list(second.steps)) == ([2, 4, 6, 8], [6, 8])
    for logged_run, (_, _, folder) in zip((first, second), logged, strict=True):
        training_rows, evaluations = (
            table(folder / "training.csv"),
            table(folder / "evaluations.csv"),
        )
        for step, row in logged_run.steps.items():
            assert row == {
                **{f"train/{name}": value for name, value in training_rows[step].items()},
                **{f"validation/{name}": value for name, value in evaluations[step].items()},
            }


def test_settings_are_in_tensorboard(logged):
    _, _, folder = logged[0]
    (text,) = events(folder / "train")["settings"][0].ravel()
    assert "TrainSpec.norms_interval = 2" in text.decode()


def test_an_unknown_figure_is_refused_before_training(logged):
    config, _, _ = logged[0]
    wrong = dataclasses.replace(config.train, early_stopping_figure="accuracy", model_dir="nowhere")
    with pytest.raises(
        UserError,
        match=r"Received: 'accuracy'\. There are: mAP, .*mean_class_accuracy, validation_loss\.",
    ):
        train(dataclasses.replace(config, train=wrong))
