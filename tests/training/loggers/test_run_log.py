"""All loggers as one: what fails is left out, after one line, and the rest goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from official_vision.errors import StoppedError, UserError
from official_vision.training.loggers import run_log as module
from official_vision.training.loggers.csv_log import TRAINING_FILE, read_rows
from official_vision.training.loggers.logger import FAILED, FINISHED, STOPPED, TRAINING
from official_vision.training.loggers.run_log import RunLog, run_log, settings_of
from official_vision.training.run import train
from tests.training import runs


class Recorder:
    def __init__(self, name, failing=()):
        self.name, self.failing, self.calls = name, failing, []

    def _note(self, *call):
        self.calls.append(call)
        if call[0] in self.failing:
            raise OSError(28, "No space left on device\nin two lines")

    def resume(self, step):
        self._note("resume", step)

    def log(self, kind, step, values):
        self._note("log", kind, step, dict(values))

    def close(self, outcome):
        self._note("close", outcome)


def config(tmp_path, **settings):
    return runs.config(tmp_path / "data", tmp_path / "run", "small", **settings)


def test_a_logger_that_fails_is_named_once_and_the_others_go_on():
    lines, good, bad = [], Recorder("csv"), Recorder("mlflow", failing=("log",))
    log = RunLog(print)
    log.add(bad)
    log.add(good)
    log.resume(4, lines.append)
    for step in (6, 8):
        log.log(TRAINING, step, {"loss": 1.0})
    log.close(FINISHED, lines.append)
    assert len(good.calls) == 4
    assert bad.calls == [("resume", 4), ("log", TRAINING, 6, {"loss": 1.0})]
    assert lines == [
        "warning: logger mlflow failed at step 6 ([Errno 28] No space left on device in two lines); "
        "training goes on without it, and a resumed run tries it again"
    ]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, FINISHED),
        (StoppedError("x"), STOPPED),
        (KeyboardInterrupt(), STOPPED),
        (UserError("x"), FAILED),
    ],
)
def test_loggers_hear_how_the_run_ended(tmp_path, monkeypatch, error, outcome):
    recorder = Recorder("csv")
    monkeypatch.setattr(module, "CsvLogger", lambda _: recorder)

    def run():
        with run_log(config(tmp_path), tmp_path, print, is_chief=True):
            if error:
                raise error

    if error:
        with pytest.raises(type(error)):
            run()
    else:
        run()
    assert recorder.calls == [("close", outcome)]


def test_only_the_first_worker_logs(tmp_path):
    for is_chief in (True, False):
        folder = tmp_path / str(is_chief)
        folder.mkdir()
        with run_log(config(tmp_path), folder, print, is_chief=is_chief) as log:
            log.resume(0, print)
            log.log(TRAINING, 2, {"loss": 0.5})
        assert (folder / TRAINING_FILE).exists() == is_chief
    assert read_rows(tmp_path / "True" / TRAINING_FILE)[1] == [{"step": "2", "loss": "0.5"}]


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_one_line_before_anything_is_made(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError) as caught:
        train(config(tmp_path, loggers=("csv", name)))
    assert str(caught.value) == (
        f"This needs the package {name}. Received: it is not installed. "
        f"Install it: pip install 'official-vision[{name}]'."
    )
    assert not Path(tmp_path / "run").exists()


def test_a_logger_that_cannot_begin_is_one_line_and_the_others_are_closed(tmp_path, monkeypatch):
    recorder = Recorder("csv")

    def refuse(*_):
        raise RuntimeError("no login")

    monkeypatch.setattr(module, "CsvLogger", lambda _: recorder)
    monkeypatch.setattr(module, "WandbLogger", refuse)
    chosen = config(tmp_path, loggers=("csv", "wandb"))
    with (
        pytest.raises(UserError, match=r"Received: wandb \(no login\)\. .* leave wandb out"),
        run_log(chosen, tmp_path, print, is_chief=True),
    ):
        pass
    assert recorder.calls == [("close", FAILED)]


def test_settings_are_those_that_training_reads(tmp_path):
    settings = settings_of(config(tmp_path, steps=12))
    assert settings["train.steps"] == 12
    assert settings["train_data.batch_size"] == 4
    assert settings["architecture_optimizer.learning_rate"] == 0.05
    sections = {name.split(".")[0] for name in settings}
    assert not sections & {"prepare", "search", "evolution"}
