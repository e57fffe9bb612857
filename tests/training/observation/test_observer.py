"""A run's records: the connections and figures in files and TensorBoard are the network's."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.formats import read_architecture
from official_vision.training.checkpoints.learned_connectivity import learned_connectivity
from official_vision.training.checkpoints.restore import ARCHITECTURE_FILE
from official_vision.training.observation.connection_log import LEARNED_FILE, read_connections
from official_vision.training.observation.history import BEST_EVALUATION_FILE, HISTORY_FILE, REDONE
from official_vision.training.observation.jsonlines import read_lines
from official_vision.training.run import train
from tests.training import runs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    """A run of 8 steps, of which the last 4 are done twice: half-way its folder is set back."""
    folder = tmp_path_factory.mktemp("observed")
    data, graph = runs.write_data(folder / "data"), runs.save_small(folder)
    config = runs.config(
        data, folder / "run", graph, pictures=True, connections_interval=3, ema_decay=0.5
    )
    half = dataclasses.replace(config, train=dataclasses.replace(config.train, steps=4))
    train(half)
    # What a run that was killed after step 6 would have left.
    for name in (HISTORY_FILE, LEARNED_FILE):
        lines = read_lines(folder / "run" / name)
        with open(folder / "run" / name, "a", encoding="utf-8") as file:
            file.write(json.dumps({**lines[-1], "step": 6, "seconds": {"training": 7.5}}) + "\n")
    return config, train(config), folder / "run"


def events(folder: Path) -> dict[str, dict[int, np.ndarray]]:
    """tag -> step -> value of all event files in a folder."""
    values: dict[str, dict[int, np.ndarray]] = {}
    for file in sorted(folder.glob("events*")):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                values.setdefault(value.tag, {})[event.step] = tf.make_ndarray(value.tensor)
    return values


def softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def test_learned_lines_are_what_the_checkpoint_holds(observed):
    _, _, folder = observed
    architecture = read_architecture(folder / ARCHITECTURE_FILE)
    lines = read_connections(folder, architecture)
    assert [line.source["step"] for line in lines] == [0, 4, 6, 8]
    newest = tf.train.latest_checkpoint(str(folder))
    expected = learned_connectivity(folder, newest)
    for node, strengths in expected.strengths.items():
        np.testing.assert_allclose(lines[-1].strengths[node], strengths, atol=2e-6)
    for node, rows in expected.peer_distributions.items():
        np.testing.assert_allclose(lines[-1].peer_distributions[node], rows, atol=2e-6)
    raw = read_lines(folder / LEARNED_FILE)[-1]
    assert raw["candidates"] == {"3": [0, 1, 2], "4": [0, 1, 2, 3]}
    shares = [
        -sum(p * np.log(p) for p in row) / np.log(len(row))
        for rows in expected.peer_distributions.values()
        for row in rows
    ]
    assert raw["entropy_share"] == pytest.approx(np.mean(shares), abs=1e-6)
    assert lines[0].strengths[3] != pytest.approx(lines[-1].strengths[3], abs=1e-4)


def test_tensorboard_shows_the_search(observed):
    _, _, folder = observed
    shown = events(folder / "train")
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(folder)))

    def variable(name):
        return reader.get_tensor(f"model/node_layers/{name}/.ATTRIBUTES/VARIABLE_VALUE")

    strengths = 1 / (1 + np.exp(-variable("4/fusion/strength_logits")))
    for source, strength in zip((0, 3), strengths, strict=True):
        assert shown[f"strength/block_4/from_{source}"][8] == pytest.approx(strength, rel=1e-5)
    row = softmax(variable("4/gates/1/peer_logits").astype(np.float64))
    share = -(row * np.log(row)).sum() / np.log(4)
    assert shown["peers/block_4/from_3"][8] == pytest.approx(share, rel=1e-5)
    assert list(shown["strength/block_3/from_0"]) == [0, 4, 6, 8]
    assert list(shown["search/graph"]) == list(shown["search/peers"]) == [0, 4, 8]
    assert list(shown["samples/train"]) == [0]
    assert list(shown["training_loss"]) == [2, 4, 6, 8]
    assert {"learning_rate", "input_wait_share"} <= shown.keys()


def test_tensorboard_shows_figures_classes_and_samples(observed):
    _, result, folder = observed
    shown = events(folder / "validation")
    for name in ("mAP", "top_1", "validation_loss"):
        assert shown[name][8] == pytest.approx(result.figures[name], rel=1e-6)
    classes = events(folder / "validation" / "average_precision")
    assert set(classes) == set(runs.CLASSES)
    mean = np.mean([steps[8] for steps in classes.values()])
    assert mean == pytest.approx(result.figures["mAP"], rel=1e-6)
    width, height, png = shown["samples/validation"][8]
    pixels = tf.io.decode_png(png).numpy()
    assert pixels.shape == (int(height), int(width), 3)
    # The first sample's frame is red, its flow one colour, its objects black (id 0).
    frame, flow, objects = pixels[70, 48], pixels[60:80, 400:700], pixels[70, 800]
    assert frame[0] > 150
    assert frame[1:].max() < 90
    assert np.ptp(flow.reshape(-1, 3), axis=0).max() == 0
    assert objects.max() == 0


def test_history_has_every_step_once_and_all_the_time(observed):
    config, result, folder = observed
    lines = read_lines(folder / HISTORY_FILE)
    assert [line["step"] for line in lines if line["kind"] == "loop"] == [2, 4, 6, 8]
    losses = events(folder / "train")["training_loss"]
    for line in lines:
        if line["kind"] == "loop":
            assert line["loss"] == pytest.approx(float(losses[line["step"]]), rel=1e-6)
            assert line["learning_rates"] == {"learning_rate": pytest.approx(0.05)}
            seconds = line["seconds"]["training"] + line["seconds"]["waiting for input"]
            assert seconds == pytest.approx(line["loop_seconds"], abs=1e-3)
    (resumed,) = (line for line in lines if line["kind"] == "resumed")
    assert resumed["seconds"] == {REDONE: 7.5}
    evaluations = [line for line in lines if line["kind"] == "evaluation"]
    assert [line["step"] for line in evaluations] == [4, 8]
    assert evaluations[-1]["figures"]["mAP"] == pytest.approx(result.figures["mAP"])
    assert config.train.best_metric in evaluations[0]["figures"]


def test_the_best_evaluation_is_kept_whole(observed):
    _, result, folder = observed
    best = json.loads((folder / BEST_EVALUATION_FILE).read_text())
    assert best["step"] == result.best["best_ckpt_global_step"]
    mean = np.mean([row["average_precision"] for row in best["classes"]])
    assert mean == pytest.approx(result.best["mAP"])
    assert np.sum(best["confusion"]) == 6
    assert np.sum(best["confusion"], axis=1).tolist() == [2, 2, 1, 1]
    assert np.trace(best["confusion"]) / 6 == pytest.approx(result.best["top_1"])


def test_the_run_ends_with_its_summary(observed):
    config, result, folder = observed
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["best"]["value"] == pytest.approx(result.best["mAP"])
    assert summary["best"]["step"] == result.best["best_ckpt_global_step"]
    assert [step for step, _ in summary["loss"]] == [2, 4, 6, 8]
    assert summary["interruptions"] == 1
    assert summary["seconds"][REDONE] == 7.5
    assert (folder / "summary.png").is_file() == config.train.pictures
