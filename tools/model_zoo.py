"""Writes docs/model_zoo.md: every network of gin_configs/models with its cost, and its measured speed.

Costs and memory are computed; seconds are those that a benchmark wrote to docs/model_zoo.json:

    python tools/model_zoo.py              # `make model-zoo` measures first
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from absl import flags

from official_vision import cli, config, files
from official_vision.architecture.cost.network_cost import estimate
from official_vision.architecture.zoo import load_architecture
from official_vision.training.cost_setting import setting_of
from official_vision.training.devices.memory import need_of

REPOSITORY = Path(__file__).resolve().parent.parent
CLIP = (
    "validation/DataSpec.frames = 32",
    "validation/DataSpec.size = 224",
    "train/DataSpec.frames = 32",
    "train/DataSpec.size = 224",
    "train/DataSpec.batch_size = 8",
    "ModelSpec.num_classes = 157",
    "ModelSpec.num_object_classes = 151",
)
_MEASURED = flags.DEFINE_string(
    "measured",
    str(REPOSITORY / "docs" / "model_zoo.json"),
    "Figures that benchmark --what=forward --json wrote of the gin files.",
)
_OUTPUT = flags.DEFINE_string("output", str(REPOSITORY / "docs" / "model_zoo.md"), "Page to write.")
_HEAD = """# Model zoo

Every network that the package has by name. `official-vision inspect --gin_file=FILE` draws one and lists its
blocks; `ov.build_model("NAME", num_classes=...)` builds it. **Weights: none are published** for any of them, by the
authors or here; [weights](weights.md) lists what can be converted.

Costs are of one clip of 32 frames of 224 x 224 pixels and 157 classes (Charades), counted from the graph and equal
to those of the built model: a multiply-add is two FLOPs. Memory is the estimate of a training step of 8 such clips
on one device, in float32 and in bfloat16, without rematerialisation.
"""


def page(measured: Mapping[str, Any]) -> str:
    """Returns the page as Markdown.

    Args:
      measured: JSON of `benchmark --what=forward`, whose rows have the names of gin files.
    """
    rows = [
        "| network | streams | depth | parameters | GFLOPs | GiB of a step | float32 | bfloat16 |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(path, measured) for path in gin_files()),
    ]
    sources = [_source(path) for path in gin_files()]
    return "\n".join([_HEAD, *rows, "", _note(measured), "", *sources, ""])


def gin_files() -> list[Path]:
    """Returns the gin files of the networks."""
    return sorted((REPOSITORY / "gin_configs" / "models").glob("*.gin"))


def _row(path: Path, measured: Mapping[str, Any]) -> str:
    settings = config.load([str(path)], CLIP)
    graph = load_architecture(settings.model.architecture)
    cost = estimate(graph, setting_of(settings.model, settings.train_data)).total
    memory = " / ".join(f"{gibibytes:.0f}" for gibibytes in _memory(path))
    seconds = _seconds(path.stem, measured)
    return (
        f"| {graph.name} | {', '.join(graph.streams)} | {graph.depth} | {cost.parameters / 1e6:.1f} M "
        f"| {cost.flops / 1e9:.0f} | {memory} | {seconds['float32']} | {seconds['bfloat16']} |"
    )


def _source(path: Path) -> str:
    model = config.load([str(path)], CLIP).model
    graph = load_architecture(model.architecture)
    gates = "no gates" if model.gate == "none" else f"{model.gate} gates"
    return f"- `--gin_file=models/{path.name}` ({gates}): {graph.provenance['source']}"


def _memory(path: Path) -> Iterator[float]:
    for precision in ("float32", "mixed_bfloat16"):
        settings = config.load([str(path)], [*CLIP, f"TrainSpec.precision = '{precision}'"])
        graph = load_architecture(settings.model.architecture)
        yield need_of(settings, graph, 1, on_cpu=False).total / 2**30


def _seconds(name: str, measured: Mapping[str, Any]) -> dict[str, str]:
    shown = {"float32": "not measured", "bfloat16": "not measured"}
    for row in measured["rows"]:
        if row["name"] == name:
            shown[row["precision"]] = (
                f"{row['seconds']['median']:.2f} s, {row['share_of_gemm']:.0%}"
            )
    return shown


def _note(measured: Mapping[str, Any]) -> str:
    peaks = measured["gemm_gflops"]
    return (
        "Seconds are those of a forward pass of one such clip in the exported form, flow from the shards, on 2 CPU "
        f"cores whose matrix products reached {peaks['float32']:.0f} GFLOP/s in float32 and "
        f"{peaks['bfloat16']:.0f} in bfloat16 in the same minutes; the share is that of these. "
        f"Medians of {measured['rounds']} rounds in which all networks took turns. `make model-zoo` measures anew."
    )


def main() -> None:
    """Writes the page."""
    measured = files.read_json(Path(_MEASURED.value))
    files.write_text(_OUTPUT.value, page(measured))


if __name__ == "__main__":
    cli.run(main)
