"""MLflow's files of a run, read back by MLflow's client."""

from __future__ import annotations

import math

import pytest

from official_vision import formats
from official_vision.training.loggers.logger import EVALUATION, FINISHED, STOPPED, TRAINING
from official_vision.training.loggers.mlflow_log import FOLDER, MlflowLogger

mlflow = pytest.importorskip("mlflow")


def only_run(uri):
    client = mlflow.MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return client, run


def points(client, run, name):
    return [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]


def test_figures_settings_and_outcome_are_what_was_logged(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "my run"
    folder.mkdir()
    log = MlflowLogger(folder, {"train.steps": 8, "train.frozen": []})
    log.resume(0)
    log.log(TRAINING, 2, {"training_loss": 1.25, "gradient_norm/level_1": 0.1 + 0.2})
    log.log(EVALUATION, 2, {"mAP": math.nan})
    log.log(TRAINING, 4, {"training_loss": 0.75})
    client, run = only_run((folder / FOLDER).as_uri())
    assert run.info.status == "RUNNING"
    log.close(STOPPED)
    client, run = only_run((folder / FOLDER).as_uri())
    assert run.info.status == "KILLED"
    assert run.info.run_name == "my run"
    assert run.data.params == {"train.steps": "8", "train.frozen": "[]"}
    assert points(client, run, "train/training_loss") == [(2, 1.25), (4, 0.75)]
    assert points(client, run, "train/gradient_norm/level_1") == [(2, 0.1 + 0.2)]
    ((step, value),) = points(client, run, "validation/mAP")
    assert step == 2
    assert math.isnan(value)
    # Resumed from step 2: the same run, no point twice, a changed setting beside the first one.
    log = MlflowLogger(folder, {"train.steps": 16, "train.frozen": [], "train.seed": 1})
    log.resume(2)
    log.log(TRAINING, 4, {"training_loss": 0.5})
    log.log(TRAINING, 6, {"training_loss": 0.25})
    log.close(FINISHED)
    client, run = only_run((folder / FOLDER).as_uri())
    assert run.info.status == "FINISHED"
    assert points(client, run, "train/training_loss") == [(2, 1.25), (4, 0.75), (6, 0.25)]
    assert run.data.params == {"train.steps": "8", "train.frozen": "[]", "train.seed": "1"}
    assert run.data.tags["changed.train.steps"] == "16"


def test_the_store_of_the_environment_is_taken(tmp_path, monkeypatch):
    uri = (tmp_path / "elsewhere").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    (tmp_path / "run").mkdir()
    log = MlflowLogger(tmp_path / "run", {})
    log.log(TRAINING, 1, {"x": 2.0})
    client, run = only_run(uri)
    assert run.data.metrics == {"train/x": 2.0}
    assert client.get_experiment(run.info.experiment_id).name == "mine"
    assert not (tmp_path / "run" / FOLDER).exists()


def test_passwords_of_servers_are_not_written_down(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9/x")
    monkeypatch.setattr(MlflowLogger, "_new_run", lambda *_: "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(mlflow.exceptions.MlflowException, match=r"127\.0\.0\.1"):
        MlflowLogger(tmp_path, {})
    ids = formats.LOGGERS.read(tmp_path / "loggers.json")["ids"]
    assert ids == {"mlflow http://127.0.0.1:9/x": "0"}
