"""The cost of a search step: the graph without and with gates, and the over-connected one."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

from official_vision.architecture.formats import save_architecture
from official_vision.benchmark.network_speed import TRAIN, measure_networks
from official_vision.config import Config
from official_vision.modeling.builder import resolve_architecture
from official_vision.search.one_shot import search_config
from official_vision.search.search_folder import SPACE_FILE
from official_vision.search.space import one_shot_space

SEARCH = "search"


def measure_search(config: Config, rounds: int) -> dict[str, Any]:
    """Times, in turn, training steps from the plain graph to the whole one-shot search, in TrainSpec's precision.

    Args:
      config: every setting; SearchSpec.candidates sets which connections are searched.
      rounds: in each of which every step is taken once.

    Returns:
      As `measure_networks`, of the networks that `search_configs` names.
    """
    with tempfile.TemporaryDirectory() as folder:
        configs = search_configs(config, folder)
        precision = config.train.precision.removeprefix("mixed_")
        result = measure_networks(configs, TRAIN, rounds, (precision,), in_processes=False)
    return result | {"what": SEARCH}


def search_configs(config: Config, folder: str | os.PathLike) -> dict[str, Config]:
    """Returns the settings of each step, by name; a bilevel step takes two batches.

    Args:
      config: every setting.
      folder: that exists; the over-connected graph is written there.
    """
    # Latencies, which cost a step what FLOPs do, would be measured first.
    connectivity = dataclasses.replace(config.connectivity, cost="flops")
    config = dataclasses.replace(config, connectivity=connectivity)
    space = one_shot_space(resolve_architecture(config.model), config.search.candidates)
    save_architecture(space, Path(folder) / SPACE_FILE)
    fixed = _updated(config, "joint")
    placed = dataclasses.replace(config.search, output=str(folder))
    searched = search_config(dataclasses.replace(fixed, search=placed))
    ungated = dataclasses.replace(fixed, model=dataclasses.replace(config.model, gate="none"))
    configs = {"graph, no gates": ungated}
    if config.model.gate != "none":
        configs[f"graph, {config.model.gate} gates"] = fixed
    return configs | {
        "one-shot, joint": searched,
        "one-shot, bilevel": _updated(searched, "bilevel"),
    }


def _updated(config: Config, updates: str) -> Config:
    return dataclasses.replace(
        config, connectivity=dataclasses.replace(config.connectivity, updates=updates)
    )
