"""Describes a network and its cost, without building it: --architecture=NAME | --gin_file=FILE | --model_dir=DIR.

Prints one line per node with its shape, parameters, FLOPs and connections; totals for each combination
of streams; and what peer attention adds beside the paper's figures. Of a training folder it also
prints the learned strengths and peers, and --derive writes the discrete network that they mean.
Needs no TensorFlow but for a training folder.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from absl import flags

from official_vision import cli, config, files
from official_vision.architecture import formats, zoo
from official_vision.architecture.cost import gate_overhead as overhead
from official_vision.architecture.cost import network_cost as cost
from official_vision.architecture.cost import network_report as report
from official_vision.architecture.drawing import draw
from official_vision.config import Config
from official_vision.errors import UserError

if TYPE_CHECKING:
    from official_vision.architecture.connections.connectivity import Learned
    from official_vision.architecture.cost.network_cost import Setting
    from official_vision.architecture.graph import Architecture


# Flags that apply only to a training run, and those whose values are in its folder.
_OF_RUNS = ("checkpoint", "derive", "threshold")
_OF_SETTINGS = ("gin_file", "gin_bindings", "architecture")


def _define_flags() -> None:
    cli.define_gin_flags()
    flags.adopt_module_key_flags(cli)
    flags.DEFINE_string(
        "architecture",
        None,
        "Zoo name or JSON file, of the authors' lists too; wins over ModelSpec.architecture.",
    )
    flags.DEFINE_string("model_dir", None, "A training run's folder: its network and checkpoint.")
    flags.DEFINE_string("checkpoint", "best", "Of the run: best, latest or a path prefix.")
    flags.DEFINE_integer("frames", None, "Frames per clip; by default the validation data's.")
    flags.DEFINE_integer("size", None, "Pixels of a clip's side; by default the validation data's.")
    flags.DEFINE_string("json", None, "File for the report as JSON.")
    flags.DEFINE_string("save", None, "JSON file for the architecture itself, to edit and reuse.")
    flags.DEFINE_string("draw", None, "SVG or PNG file for a drawing of the network.")
    flags.DEFINE_string(
        "derive",
        None,
        "JSON file for the discrete network that the run's strengths and peers mean.",
    )
    flags.DEFINE_float(
        "threshold", 0.3, "Weaker connections are left out of --derive; 0 keeps all."
    )


def _check_flags() -> None:
    """Refuses flags that have no effect beside the others."""
    options = flags.FLAGS
    named = [name for name in (*_OF_RUNS, *_OF_SETTINGS) if options[name].present]
    for name in named:
        if name in _OF_SETTINGS and options.model_dir:
            raise UserError(
                f"A run's folder has its network and settings. Received: --model_dir and --{name}. "
                "Leave one of them out."
            )
        if name in _OF_RUNS and not options.model_dir:
            raise UserError(
                f"--{name} reads a training run. Received: no --model_dir. Add --model_dir=DIR."
            )
    if options["threshold"].present and not options.derive:
        raise UserError(
            "--threshold prunes what --derive writes. Received: no --derive. Add --derive=PATH."
        )
    for name in ("derive", "save"):
        path = options[name].value
        if path and not path.endswith(".json"):
            raise UserError(
                f"An architecture file ends in .json. Received: --{name}={path}. Change its suffix."
            )


def _network() -> tuple[Config, Architecture, Learned | None]:
    """Returns the settings, the graph as it is built, and what a run has learned."""
    options = flags.FLAGS
    if options.model_dir:
        settings = config.read(options.model_dir)
        # Imported late: TensorFlow is needed to read checkpoints, and for nothing else here.
        from official_vision.training.checkpoints.learned_connectivity import learned_connectivity

        learned = learned_connectivity(options.model_dir, options.checkpoint)
        return settings, learned.architecture, learned
    settings = config.load(options.gin_file, options.gin_bindings)
    graph = zoo.load_architecture(options.architecture or settings.model.architecture)
    return (
        settings,
        graph.with_settings(settings.model.depth, settings.model.width_multiplier),
        None,
    )


def _setting(settings: Config) -> Setting:
    """Returns what the costs depend on besides the graph."""
    from official_vision.training.cost_setting import setting_of

    sizes = {name: flags.FLAGS[name].value for name in ("frames", "size")}
    changed = {name: value for name, value in sizes.items() if value is not None}
    return dataclasses.replace(setting_of(settings.model, settings.validation_data), **changed)


def _derive(learned: Learned, threshold: float, path: str) -> None:
    """Writes the discrete network and reports how much of the one-shot network remains."""
    derived = learned.derive(threshold).architecture
    formats.save_architecture(derived, path)
    before = learned.architecture
    nodes, connections = len(derived.nodes), len(list(derived.connections()))
    print(
        f"\nderived at threshold {threshold:g}: {nodes} of {len(before.nodes)} nodes, {connections} of "
        f"{len(list(before.connections()))} connections -> {path}\n"
        f"Its depth and width are in the file: train it with ModelSpec.architecture = {path!r}."
    )


def main() -> None:
    """Prints the report and writes the requested files."""
    options = flags.FLAGS
    _check_flags()
    for name in ("json", "save", "draw", "derive"):
        if options[name].value:
            files.check_writable(options[name].value, f"--{name}")
    settings, graph, learned = _network()
    setting = _setting(settings)
    bill, overheads = cost.estimate(graph, setting), overhead.peer_overheads(graph, setting)
    print(report.describe(bill, overheads, learned), end="")
    if options.json:
        files.write_json(options.json, report.to_dict(bill, overheads, learned))
    if options.save:
        formats.save_architecture(graph, options.save)
    if options.draw:
        strengths = learned.strengths if learned else None
        draw.draw(graph, options.draw, strengths, learned.likeliest_peers() if learned else None)
    if options.derive:
        _derive(learned, options.threshold, options.derive)


_define_flags()
