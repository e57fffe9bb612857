"""A run in MLflow: in the store that MLFLOW_TRACKING_URI names, or in files of the run's folder."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from official_vision.training.loggers.logger import FAILED, FINISHED, STOPPED
from official_vision.training.loggers.run_ids import run_id

FOLDER = "mlruns"
_EXPERIMENT = "official_vision"
_USER = re.compile("//[^/@]*@")
_STATUS = {FINISHED: "FINISHED", STOPPED: "KILLED", FAILED: "FAILED"}
_MOST_PARAMETERS = 100  # of a request
_MOST_CHARACTERS = 6000  # of a parameter's value
# What this package sets where the user has not. Files are a store that MLflow keeps without adding to it, and the
# only one without a server of mlflow-skinny. A server that is gone would stop the training for minutes. MLflow
# reports each use to its makers, from which a run that writes files needs no network.
_ENVIRONMENT = {
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class MlflowLogger:
    """Writes figures as metrics train/NAME and validation/NAME, and settings as parameters, of one run.

    MLflow takes no point back: a step that is done again after a kill stays as it was first logged. Nor does it
    change a parameter: the new value of a setting is the tag changed.SETTING.
    """

    name = "mlflow"

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        """Begins or reopens the run.

        Args:
          folder: of the run, whose name is that of MLflow's run.
          settings: by name.

        Raises:
          ModuleNotFoundError: MLflow is not installed.
        """
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import mlflow

        server = os.environ.get("MLFLOW_TRACKING_URI")
        uri = server or (folder.resolve() / FOLDER).as_uri()
        # Without a password; files move with the folder.
        store = f"mlflow {_USER.sub('//', server)}" if server else "mlflow"
        self._entities = mlflow.entities
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        self._run = run_id(folder, store, lambda: self._new_run(folder.resolve().name))
        self._client.update_run(self._run, status="RUNNING")
        self._last: dict[str, int] = {}  # the newest step of each metric
        self._note_settings({name: str(value) for name, value in settings.items()})

    def resume(self, step: int) -> None:
        """Reads which steps have been logged; none of them is logged again."""
        del step
        for name in self._client.get_run(self._run).data.metrics:
            points = self._client.get_metric_history(self._run, name)
            self._last[name] = max(point.step for point in points)

    def log(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Sends the figures in one request."""
        now = round(1000 * time.time())
        names = {f"{kind}/{name}": value for name, value in values.items()}
        metrics = [
            self._entities.Metric(name, value, now, step)
            for name, value in names.items()
            if step > self._last.get(name, -1)
        ]
        self._client.log_batch(self._run, metrics=metrics)
        self._last |= {metric.key: step for metric in metrics}

    def close(self, outcome: str) -> None:
        """Ends MLflow's run as FINISHED, KILLED or FAILED; a resumed run reopens it."""
        self._client.set_terminated(self._run, _STATUS[outcome])

    def _new_run(self, name: str) -> str:
        experiment_name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT
        experiment = self._client.get_experiment_by_name(experiment_name)
        number = (
            experiment.experiment_id
            if experiment
            else self._client.create_experiment(experiment_name)
        )
        return self._client.create_run(number, run_name=name).info.run_id

    def _note_settings(self, settings: Mapping[str, str]) -> None:
        before = self._client.get_run(self._run).data.params
        short = {name: value[:_MOST_CHARACTERS] for name, value in settings.items()}
        new = [
            self._entities.Param(name, value) for name, value in short.items() if name not in before
        ]
        for first in range(0, len(new), _MOST_PARAMETERS):
            self._client.log_batch(self._run, params=new[first : first + _MOST_PARAMETERS])
        for name, value in short.items():
            if before.get(name, value) != value:
                self._client.set_tag(self._run, f"changed.{name}", value)
