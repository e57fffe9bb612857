"""One-shot search (AssembleNet++, supplement A.2): search, derive, retrain, each resumable.

ModelSpec.architecture -- space --> over-connected network -- train, w and h too --> search/
    -- derive --> derived.json and weights -- train --> retrain/
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from official_vision import config as configuration
from official_vision import formats
from official_vision.architecture.formats import read_architecture, save_architecture
from official_vision.config import Config
from official_vision.errors import UserError, nearest
from official_vision.lock import folder_locked
from official_vision.metrics.figures import with_nan, without_nan
from official_vision.modeling.builder import resolve_architecture
from official_vision.search import search_folder as layout
from official_vision.search.discrete import emptied_blocks, make_discrete, recompute_norms
from official_vision.search.space import one_shot_space
from official_vision.search.stage_figures import (
    attention_figures,
    connection_figures,
    cost_figures,
    table,
)
from official_vision.specs import ConnectivitySpec
from official_vision.training.checkpoints.restore import ARCHITECTURE_FILE, find_checkpoint
from official_vision.training.clip_scoring import Trained, devices_of_run, load_trained, score_clips
from official_vision.training.cost_setting import setting_of
from official_vision.training.devices.visible import set_up
from official_vision.training.run import train
from official_vision.training.run_folder.folder import ALL_STEPS, RESULT_FILE
from official_vision.training.settings_from_data import settle

ALL = "all"
_AFTER = {"derive": "search", "retrain": "derive"}  # the stage before
# Sections that say nothing about how a network is trained.
_ELSEWHERE = ("prepare", "search", "evolution")


def one_shot(config: Config, stage: str = ALL, note: Callable[[str], None] = print) -> Path:
    """Runs a stage of the search, or all remaining ones.

    Args:
      config: all settings; SearchSpec.output is the folder.
      stage: search, derive, retrain or all. Each continues where it was stopped.
      note: shows the user a line.

    Returns:
      The folder of the search (search/search_folder.py); derived.json in it is the derived network.

    Raises:
      UserError: an unknown stage, one whose predecessor isn't done, or settings that don't fit.
    """
    stages = {"search": _search, "derive": _derive, "retrain": _retrain}
    if stage not in (*stages, ALL):
        raise UserError(
            f"A stage is search, derive, retrain or all. Received: {stage!r}. {nearest(stage, (*stages, ALL))}"
        )
    if not config.search.output:
        raise UserError(
            "SearchSpec.output must be set. Received: ''. Name a folder for the search."
        )
    # Before all stages: one that evaluates may come before one that trains.
    set_up(config.train)
    output = Path(config.search.output)
    if stage in _AFTER:
        _check_done(output, _AFTER[stage], stage)
    config = settle(config)
    with folder_locked(output, "SearchSpec.output", "searching"):
        for name in stages if stage == ALL else (stage,):
            if stage == ALL and name == "derive" and _is_derived(config, output):
                note("derive: done")
                continue
            note(f"{name}:")
            figures = stages[name](config, output, note)
            layout.write_stage(output, config, name, without_nan(figures))
    note(table(layout.stages_of(output)))
    return output


def _search(config: Config, output: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """Trains the over-connected network."""
    architecture = resolve_architecture(config.model)
    space = one_shot_space(architecture, config.search.candidates)
    path = output / layout.SPACE_FILE
    if path.is_file() and read_architecture(path) != space:
        raise UserError(
            f"A search goes on with its first connections. Received: {output}, which has a search "
            f"among others ({layout.SPACE_FILE}). Choose another SearchSpec.output, or the old settings."
        )
    save_architecture(space, path)
    count = len(list(space.connections()))
    note(
        f"{count} connections where {architecture.name} has {len(list(architecture.connections()))}"
    )
    result = _trained(search_config(config))
    metric, setting = config.train.best_metric, setting_of(config.model, config.validation_data)
    return {
        "metric": metric,
        "one_shot": {
            **cost_figures(space, setting),
            "steps": result["step"],
            "score": result["figures"].get(metric),
            "figures": result["figures"],
            "best": result["best"],
            "seconds": result["seconds"],
        },
    }


def _derive(config: Config, output: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """Makes the network discrete, and evaluates both with the weights that they share."""
    metric, spec = config.train.best_metric, config.search
    folder = output / layout.SEARCH_FOLDER
    trained = load_trained(folder, spec.checkpoint, devices_of_run(folder))
    recompute_norms(trained.model, trained)  # as the run's evaluations do
    before = _figures(trained)
    fingerprints = configuration.read_record(folder)["data_fingerprints"]
    discrete = make_discrete(
        trained,
        spec,
        {
            "data_fingerprints": fingerprints,
            "method": spec.method,
            "updates": config.connectivity.updates,
            metric: without_nan(before)[metric],
        },
    )
    if emptied := emptied_blocks(discrete.learned, discrete.threshold):
        note(
            f"no input of node {', '.join(map(str, emptied))} reaches {discrete.threshold:g}: the strongest stays"
        )
    after = _figures(dataclasses.replace(trained, model=discrete.model))
    tf.train.Checkpoint(model=discrete.model).write(str(output / layout.WEIGHTS))
    save_architecture(discrete.architecture, output / layout.DERIVED_FILE)
    setting = setting_of(config.model, config.validation_data)
    figures = {
        "settings": _derivation(config, output),
        "threshold": discrete.threshold,
        "one_shot_figures": before,
        "one_shot_step": trained.step,
        "connectivity": connection_figures(discrete.learned, setting),
        "derived": {
            **cost_figures(discrete.architecture, setting),
            "steps": trained.step,
            "score": after.get(metric),
            "figures": after,
        },
    }
    if spec.curve_shares:
        figures["curve"] = [_curve_point(trained, config, s, note) for s in spec.curve_shares]
    if discrete.architecture.is_discrete() and config.model.gate == "peer":
        figures["attention"] = attention_figures(discrete.architecture, setting)
    return figures


def _curve_point(
    trained: Trained, config: Config, share: float, note: Callable[[str], None]
) -> dict[str, Any]:
    """Returns figures of the network that keeps a share of its connections, not trained again."""
    metric = config.train.best_metric
    discrete = make_discrete(trained, dataclasses.replace(config.search, keep_share=share), {})
    score = _figures(dataclasses.replace(trained, model=discrete.model)).get(metric)
    cost = cost_figures(discrete.architecture, setting_of(config.model, config.validation_data))
    note(f"{cost['connections']} connections: {metric} {score:.4f}")
    return {"share": share, **cost, "steps": trained.step, "score": score}


def _derivation(config: Config, output: Path) -> dict[str, Any]:
    """Returns the settings that decide how a network is derived."""
    spec = config.search
    checkpoint = find_checkpoint(output / layout.SEARCH_FOLDER, spec.checkpoint)
    return {
        "checkpoint": checkpoint,
        "threshold": spec.threshold,
        "keep_share": spec.keep_share,
        "curve_shares": list(spec.curve_shares),
    }


def _is_derived(config: Config, output: Path) -> bool:
    done = layout.stages_of(output).get("derive", {})
    return done.get("settings") == _derivation(config, output)


def _retrain(config: Config, output: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """Trains the discrete network."""
    derived = read_architecture(output / layout.DERIVED_FILE)
    begun = output / layout.RETRAIN_FOLDER / ARCHITECTURE_FILE
    if begun.is_file() and read_architecture(begun).nodes != derived.nodes:
        raise UserError(
            f"A discrete network is retrained in a separate folder. Received: {begun.parent}, which trains the "
            "network of another derivation. Delete it, or choose another SearchSpec.output."
        )
    settings = retrain_config(config)
    taught = f", taught by {settings.loss.teacher}" if settings.loss.teacher else ""
    note(f"from {settings.train.init_checkpoint or 'fresh weights'}{taught}")
    result = _trained(settings)
    metric, setting = config.train.best_metric, setting_of(config.model, config.validation_data)
    trained = derived.with_settings(None, config.search.retrain_width)
    stages = layout.stages_of(output)
    reference = with_nan(stages["derive"]["one_shot_figures"])[metric]
    score = result["figures"].get(metric)
    return {
        "retrained": {
            **cost_figures(trained, setting),
            "steps": result["step"],
            "score": score,
            "figures": result["figures"],
            "best": result["best"],
            "seconds": result["seconds"],
        },
        "kept_score_percent": 100 * score / reference if reference else None,
        "steps_percent": 100 * result["step"] / stages["search"]["one_shot"]["steps"],
    }


def search_config(config: Config) -> Config:
    """Returns the settings of the run that trains the over-connected network."""
    output = Path(config.search.output)
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, architecture=str(output / layout.SPACE_FILE)),
        train=dataclasses.replace(config.train, model_dir=str(output / layout.SEARCH_FOLDER)),
    )


def retrain_config(config: Config) -> Config:
    """Returns the settings of the run that trains the discrete network."""
    spec, output = config.search, Path(config.search.output)
    rate = spec.retrain_learning_rate or config.optimizer.learning_rate
    optimizer = dataclasses.replace(
        config.optimizer, warmup_steps=spec.retrain_warmup_steps, learning_rate=rate
    )
    of_connections = None  # the same as of all weights
    if config.architecture_optimizer != config.optimizer:
        of_connections = dataclasses.replace(
            config.architecture_optimizer,
            warmup_steps=spec.retrain_warmup_steps,
            learning_rate=config.architecture_optimizer.learning_rate
            * (rate / config.optimizer.learning_rate),
        )
    start, model = config.train.init_checkpoint, config.model
    if spec.retrain_width is not None:
        model = dataclasses.replace(model, width_multiplier=spec.retrain_width)
    if spec.retrain_weights == "inherited" and model == config.model:
        start = str(output / layout.WEIGHTS)
    loss = config.loss
    if spec.retrain_teacher:
        loss = dataclasses.replace(loss, teacher=str(output / layout.SEARCH_FOLDER))
    return dataclasses.replace(
        config,
        model=dataclasses.replace(model, architecture=str(output / layout.DERIVED_FILE)),
        loss=loss,
        train=dataclasses.replace(
            config.train,
            model_dir=str(output / layout.RETRAIN_FOLDER),
            steps=spec.retrain_steps,
            init_checkpoint=start,
        ),
        optimizer=optimizer,
        architecture_optimizer=of_connections,
        connectivity=ConnectivitySpec(),
    )


def _trained(config: Config) -> Mapping[str, Any]:
    """Trains a run as far as it isn't yet, and returns its result.json."""
    path = Path(config.train.model_dir) / RESULT_FILE
    if not _is_finished(config, path):
        train(config)
    result = formats.RESULT.read(path, {"step": int, "figures": dict, "best": dict})
    return {**result, "figures": with_nan(result["figures"]), "best": with_nan(result["best"])}


def _is_finished(config: Config, result: Path) -> bool:
    """Returns whether a run came to its end with exactly these settings; `train` reports what doesn't fit."""
    if not result.is_file():
        return False
    ended = formats.RESULT.read(result, {"step": int, "reason": str})
    if ended["step"] != config.train.steps and ended["reason"] == ALL_STEPS:
        return False
    before, now = configuration.read(result.parent).to_dict(), config.to_dict()
    return all(before[name] == now[name] for name in now if name not in _ELSEWHERE)


def _check_done(output: Path, needed: str, stage: str) -> None:
    if needed not in layout.stages_of(output):
        raise UserError(
            f"Stage {stage} needs what stage {needed} finds. Received: {str(output)!r}, in which it isn't done. "
            f"Run --stage={needed} first, or --stage=all."
        )


def _figures(trained: Trained) -> dict[str, float]:
    pooled = score_clips(trained).pooled(trained.config.evaluation)
    return dict(pooled.evaluation().figures)
