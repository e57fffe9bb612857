"""What a network is and what it costs, without building it: inspect --architecture=NAME | --gin_file=FILE.

Prints a line a node with its shape, parameters, FLOPs and connections; totals for each combination
of streams; and what peer attention adds beside the paper's figures. Needs no TensorFlow.
"""

import os
import sys


def _hand_over() -> None:
    """Loads Python's own `inspect` in place of this file.

    `python tools/train.py` puts this folder first on the module path, so `import inspect` in any
    library finds this file; the import system returns whatever stands in sys.modules at its end.
    """
    folder, path = os.path.dirname(os.path.abspath(__file__)), sys.path[:]
    sys.path[:] = [entry for entry in path if os.path.abspath(entry) != folder]
    del sys.modules["inspect"]
    import inspect  # noqa: F401

    sys.path[:] = path


def _define_flags() -> None:
    from absl import flags

    from official_vision import cli

    cli.define_gin_flags()
    flags.adopt_module_key_flags(cli)
    flags.DEFINE_string(
        "architecture", None, "Zoo name or JSON file; wins over ModelSpec.architecture."
    )
    flags.DEFINE_integer("frames", None, "Frames of a clip; by default the validation data's.")
    flags.DEFINE_integer("size", None, "Pixels of a clip's side; by default the validation data's.")
    flags.DEFINE_string("json", None, "File for the report as JSON.")
    flags.DEFINE_string("save", None, "JSON file for the architecture itself, to edit and reuse.")
    flags.DEFINE_string("draw", None, "SVG or PNG file for a drawing of the network.")


def main() -> None:
    """Prints the report and writes what was asked for."""
    from absl import flags

    from official_vision import config, files
    from official_vision.architecture import cost, draw, formats, overhead, report, zoo

    asked = flags.FLAGS
    settings = config.load(asked.gin_file, asked.gin_bindings)
    model, clip = settings.model, settings.validation_data
    graph = zoo.load_architecture(asked.architecture or model.architecture)
    graph = graph.with_settings(model.depth, model.width_multiplier)
    setting = cost.Setting(
        gate=model.gate,
        frames=clip.frames if asked.frames is None else asked.frames,
        size=clip.size if asked.size is None else asked.size,
        num_classes=model.num_classes,
        num_object_classes=model.num_object_classes,
        frame_pooling=model.frame_pooling,
        flow_source=model.flow_source,
        flow_iterations=model.flow_iterations,
    )
    bill, overheads = cost.estimate(graph, setting), overhead.peer_overheads(graph, setting)
    print(report.describe(bill, overheads), end="")
    if asked.json:
        files.write_json(asked.json, report.to_dict(bill, overheads))
    if asked.save:
        formats.save_architecture(graph, asked.save)
    if asked.draw:
        draw.draw(graph, asked.draw)


if __name__ == "inspect":
    _hand_over()

if __name__ == "__main__":
    from official_vision import cli

    _define_flags()
    cli.run(main)
