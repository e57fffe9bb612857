"""Trains and scores one graph of an evolution, within the budget that all have."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from official_vision import files, formats
from official_vision.architecture.formats import read_architecture, save_architecture
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.processes.pool import worker_place
from official_vision.search.evolution.evolve import Candidate, Outcome
from official_vision.search.training_process import LOG_FILE

CHILDREN_FOLDER = "children"
_GRAPH_FILE = "graph.json"
_INHERITED = "inherited"  # a checkpoint's path prefix


def folder_of(output: str | os.PathLike, number: int) -> Path:
    """Returns the folder in which graph `number` of the evolution in `output` is trained."""
    return Path(output) / CHILDREN_FOLDER / f"{number:05d}"


def evaluate(config: Config, candidate: Candidate) -> Outcome:
    """Trains a graph in its folder, or continues a training that was interrupted.

    Args:
      config: of the evolution; TrainSpec.steps is the budget of a graph.
      candidate: the graph, with the parent whose weights it starts from.

    Returns:
      The figures at the end of training.

    Raises:
      UserError: the graph's training can't begin or go on.
    """
    import tensorflow as tf

    # Imported here, not by the process that only hands out graphs.
    from official_vision.search.evolution.inheritance import count_inherited
    from official_vision.search.stage_figures import cost_figures
    from official_vision.training.checkpoints.learned_connectivity import learned_connectivity
    from official_vision.training.checkpoints.restore import find_checkpoint
    from official_vision.training.cost_setting import setting_of
    from official_vision.training.devices.visible import set_up
    from official_vision.training.run import train
    from official_vision.training.run_folder.folder import RESULT_FILE

    began = time.monotonic()
    set_up(config.train, worker_place())  # before a parent's weights are read
    tf.get_logger().setLevel("ERROR")  # one process trains many graphs, of which TensorFlow warns
    folder = _prepared(config, candidate)
    inherits = candidate.parent is not None
    settings = child_config(config, candidate)
    if not (folder / RESULT_FILE).is_file():
        with (
            open(folder / LOG_FILE, "a", encoding="utf-8") as log,
            contextlib.redirect_stdout(log),
            contextlib.redirect_stderr(log),
        ):
            train(settings)
    cost = cost_figures(candidate.architecture, setting_of(config.model, config.validation_data))
    learned = learned_connectivity(folder, "latest")
    last = find_checkpoint(folder, "latest")
    figures = formats.RESULT.read(folder / RESULT_FILE, {"figures": dict})["figures"]
    with files.damage_reported(folder / RESULT_FILE):
        figure = figures[config.train.best_metric]
    return Outcome(
        figure,
        cost["flops"],
        int(cost["parameters"]),
        strengths_of_all(candidate.architecture, learned.strengths),
        time.monotonic() - began,
        count_inherited(str(folder / _INHERITED), last) if inherits else 0,
    )


def strengths_of_all(
    graph: Architecture, learned: Mapping[int, Sequence[float]]
) -> dict[int, tuple[float, ...]]:
    """Returns the strengths of all inputs, by block: a block's only input is passed on unscaled, as with 1.

    Args:
      graph: the network that was trained.
      learned: sigmoid(w) of the blocks that weigh several inputs.
    """
    alone = {index: (1.0,) for index, node in enumerate(graph.nodes) if len(node.inputs) == 1}
    return {**alone, **{node: tuple(map(float, row)) for node, row in learned.items()}}


def _prepared(config: Config, candidate: Candidate) -> Path:
    """Makes the graph's folder, with its architecture and the weights that it starts from."""
    folder = folder_of(config.search.output, candidate.id)
    if folder.exists() and not _is_of(folder, candidate):
        shutil.rmtree(folder)  # a kill came between its beginning and its graph's file
    if not folder.exists():
        folder.mkdir(parents=True)
        if candidate.parent is not None:
            _inherit(config, candidate, folder)
        save_architecture(candidate.architecture, folder / _GRAPH_FILE)
    return folder


def _inherit(config: Config, candidate: Candidate, folder: Path) -> None:
    from official_vision.search.evolution.inheritance import write_inherited
    from official_vision.training.checkpoints.restore import find_checkpoint

    parent = folder_of(config.search.output, candidate.parent)
    write_inherited(
        find_checkpoint(parent, "latest"),
        read_architecture(parent / _GRAPH_FILE),
        candidate.architecture,
        candidate.origin,
        folder / _INHERITED,
    )


def _is_of(folder: Path, candidate: Candidate) -> bool:
    graph = folder / _GRAPH_FILE
    return graph.is_file() and read_architecture(graph).nodes == candidate.architecture.nodes


def child_config(config: Config, candidate: Candidate) -> Config:
    """Returns the settings of a graph's training."""
    folder = folder_of(config.search.output, candidate.id)
    start = config.train.init_checkpoint
    if candidate.parent is not None:
        start = str(folder / _INHERITED)
    train = dataclasses.replace(
        config.train,
        model_dir=str(folder),
        init_checkpoint=start,
        held_out_clips=0,  # no graph of thousands is exported from there
    )
    model = dataclasses.replace(config.model, architecture=str(folder / _GRAPH_FILE))
    return dataclasses.replace(config, model=model, train=train)


def forget_weights(output: str | os.PathLike, number: int) -> None:
    """Deletes the checkpoints of a graph from which no other will inherit; figures and log stay."""
    folder = folder_of(output, number)
    for path in (*folder.glob("ckpt-*"), *folder.glob(f"{_INHERITED}.*"), folder / "checkpoint"):
        path.unlink(missing_ok=True)
    for name in ("best", "ema_checkpoints"):
        shutil.rmtree(folder / name, ignore_errors=True)
