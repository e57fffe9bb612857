"""The summary of a run: figures from its record, a page on which no text lies on another."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from matplotlib.figure import Figure

from official_vision.training.observation import run_report as report
from official_vision.training.observation import run_report_page as report_page
from official_vision.training.observation.history import HISTORY_FILE
from tests.training import runs


@pytest.fixture
def config(tmp_path):
    return runs.config(tmp_path, tmp_path / "run", "small.json", steps=60, pictures=True)


def loop(step, **seconds):
    rates = {"learning_rate": 0.1 * step, "architecture_learning_rate": 0.003}
    values = {"loss": 1 / step, "steps": 20, "learning_rates": rates}
    return {"kind": "loop", "step": step, "seconds": seconds, "loop_seconds": 4.0, **values}


def evaluation(step, value):
    figures = {"mAP": value, "top_1": 0.5, "validation_loss": 2.0}
    return {"kind": "evaluation", "step": step, "seconds": {"evaluation": 3.0}, "figures": figures}


RECORDS = [
    {**loop(20, training=30.0), "loop_seconds": 30.0},
    loop(40, training=3.0, **{"waiting for input": 1.0}),
    evaluation(40, 0.625),
    {"kind": "resumed", "step": 40, "seconds": {"redone steps": 2.0}},
    evaluation(40, 0.75),
    loop(60, training=4.0, checkpoints=0.5),
    evaluation(60, None),
]


def classes(count):
    random = np.random.default_rng(count)
    return [
        {
            "name": f"Someone is holding a thing of kind {n} somewhere"
            if count > 20
            else f"$c_{n}",
            "average_precision": None if n % 40 == 7 else float(random.random()),
            "base_rate": float(10 ** random.uniform(-2.5, -0.5)),
            "positives": int(random.integers(1, 300)),
            "accuracy": None,
        }
        for n in range(count)
    ]


def best(count, single_label):
    confusion = (5 * np.eye(count) + 1).astype(int).tolist() if single_label else None
    return {"step": 40, "classes": classes(count), "confusion": confusion}


def test_figures_by_hand(config):
    summary = report.summarise(RECORDS, best(4, True), config)
    assert (summary["step"], summary["steps"], summary["interruptions"]) == (60, 60, 1)
    assert summary["best"] == {"metric": "mAP", "step": 40, "value": 0.75}
    assert summary["steps_per_second"] == 5.0
    assert summary["clips_per_second"] == 20.0
    assert summary["seconds"] == {
        "training": 37.0,
        "waiting for input": 1.0,
        "evaluation": 9.0,
        "redone steps": 2.0,
        "checkpoints": 0.5,
    }
    assert summary["loss"] == [[20, 1 / 20], [40, 1 / 40], [60, 1 / 60]]
    assert summary["learning_rates"]["learning_rate"] == [[20, 2.0], [40, 4.0], [60, 6.0]]
    assert [entry["mAP"] for entry in summary["evaluations"]] == [0.75, None]


def test_long_curves_become_means(config):
    records = [loop(20 * n, training=1.0) for n in range(1, 1202)]
    records[2]["loss"] = None
    loss = report.summarise(records, None, config)["loss"]
    assert len(loss) == 400
    assert loss[0] == [80, pytest.approx((1 / 20 + 1 / 40 + 1 / 80) / 3)]


@pytest.mark.parametrize("single_label", [True, False])
@pytest.mark.parametrize("count", [5, 157])
def test_no_text_of_the_page_lies_on_another(config, tmp_path, monkeypatch, count, single_label):
    drawn = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k))[1]
    )
    path = tmp_path / "summary.png"
    report_page.draw_page(report.summarise(RECORDS, best(count, single_label), config), path)
    (figure,) = drawn
    assert tf.io.decode_png(path.read_bytes()).shape[:2] == (990, 1430)
    for axes in figure.axes:
        labels = [*axes.get_yticklabels(), *axes.texts]
        boxes = [
            text.get_window_extent() for text in labels if text.get_text() and text.get_visible()
        ]
        for number, box in enumerate(boxes):
            assert box.x0 >= 0
            assert box.x1 <= figure.bbox.x1
            # Lines of text may touch, as letters without descenders do.
            assert not any(
                box.shrunk(1, 0.7).overlaps(other.shrunk(1, 0.7)) for other in boxes[number + 1 :]
            )


def test_a_run_that_was_stopped_before_its_evaluation_has_a_page(config, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    report.write_report(folder, config)
    assert not list(folder.iterdir())
    (folder / HISTORY_FILE).write_text(json.dumps(RECORDS[0]) + "\n")
    report.write_report(folder, config)
    summary = json.loads((folder / report.SUMMARY_FILE).read_text())
    assert summary["best"] is None
    assert summary["classes"] == []
    assert (folder / report.PAGE_FILE).stat().st_size > 10_000
    names = {path.name for path in folder.iterdir()}
    assert names == {HISTORY_FILE, report.SUMMARY_FILE, report.PAGE_FILE}
