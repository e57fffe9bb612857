"""A network as a table for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from official_vision.architecture.cost import Cost
from official_vision.architecture.count import Count
from official_vision.architecture.graph import Block, Stem
from official_vision.architecture.overhead import (
    PAPER_FLOPS_PERCENT,
    PAPER_PARAMETERS_PERCENT,
    Overhead,
)

_HEADINGS = ("node", "level", "block", "output", "parameters", "GFLOPs", "share", "inputs")
_LEFT = {"block", "output", "inputs"}


def describe(cost: Cost, overheads: Sequence[Overhead] = ()) -> str:
    """Returns the whole report: nodes, totals, streams, overheads and warnings."""
    setting, architecture = cost.setting, cost.architecture
    whole = cost.total
    head = (
        f"{architecture.name}: depth {architecture.depth}, width x {architecture.width_multiplier:g}, "
        f"gate {setting.gate}, {setting.frames} frames of {setting.size} x {setting.size}, "
        f"{setting.num_classes} classes"
    )
    sections = [head, _table(_HEADINGS, _node_rows(cost), _LEFT), _totals(whole), _streams(cost)]
    if overheads:
        sections.append(_overheads(overheads))
    sections.extend(f"note: {warning}" for warning in architecture.warnings())
    return "\n\n".join(sections) + "\n"


def to_dict(cost: Cost, overheads: Sequence[Overhead] = ()) -> dict[str, Any]:
    """Returns the report as plain JSON values."""
    nodes = [
        {
            "index": own.index,
            "level": own.level,
            "inputs": list(cost.architecture.nodes[own.index].inputs),
            "output": list(cost.shape(own.index)),
            "alive": own.index in cost.alive,
            **_numbers(cost.of_node(own.index)),
        }
        for own in cost.plan
    ]
    connections = [
        {
            "source": source,
            "node": consumer,
            "gate": _numbers(_gate_of(cost, source, consumer)),
            **_numbers(cost.of_connection(source, consumer)),
        }
        for source, consumer in cost.architecture.connections()
        if consumer in cost.alive
    ]
    return {
        "name": cost.architecture.name,
        "setting": dataclasses.asdict(cost.setting),
        "nodes": nodes,
        "connections": connections,
        "streams": {name: _numbers(count) for name, count in cost.of_streams().items()},
        "total": _numbers(cost.total),
        "overheads_percent": [dataclasses.asdict(overhead) for overhead in overheads],
        "warnings": list(cost.architecture.warnings()),
    }


def _numbers(count: Count) -> dict[str, int]:
    return {"parameters": count.parameters, **dataclasses.asdict(count)}


def _gate_of(cost: Cost, source: int, consumer: int) -> Count:
    gates = (
        part.count
        for part in cost.parts
        if part.role == "gate" and (part.source, part.node) == (source, consumer)
    )
    return sum(gates, Count())


def _node_rows(cost: Cost) -> list[tuple[str, ...]]:
    whole = cost.total
    rows = [
        (
            str(own.index),
            str(own.level),
            _what(cost.architecture.nodes[own.index]),
            " x ".join(map(str, cost.shape(own.index))),
            *_amounts(cost.of_node(own.index), whole),
            _inputs(cost, own.index) if own.index in cost.alive else "left out: reaches no output",
        )
        for own in cost.plan
    ]
    flow = cost.of_role("flow")
    if flow != Count():
        rows.insert(0, ("", "", "flow from rgb", "", *_amounts(flow, whole), ""))
    rows.append(("", "", "classifier", "", *_amounts(cost.of_role("head"), whole), ""))
    return rows


def _amounts(count: Count, whole: Count) -> tuple[str, str, str]:
    """Parameters, GFLOPs and the share of all GFLOPs, elementwise arithmetic included."""
    flops = count.flops + count.elementwise
    share = flops / (whole.flops + whole.elementwise)
    return f"{count.parameters:,}", f"{flops / 1e9:.3f}", f"{share:.1%}"


def _what(node: Stem | Block) -> str:
    dilation = f" dilation {node.temporal_dilation}" if node.temporal_dilation > 1 else ""
    if isinstance(node, Stem):
        return f"{node.kind} stem{dilation if node.kind == 'rgb' else ''}"
    stride = f" stride {node.spatial_stride}" if node.spatial_stride > 1 else ""
    channels = (
        node.channels if isinstance(node.channels, int) else "-".join(map(str, node.channels))
    )
    return f"C {channels}{dilation}{stride}"


def _inputs(cost: Cost, index: int) -> str:
    """Input nodes, each with its strength and its gate's peer where the graph gives them."""
    node = cost.architecture.nodes[index]
    texts = []
    for position, source in enumerate(node.inputs):
        text = str(source)
        if node.strengths is not None:
            text += f" ({node.strengths[position]:.2f})"
        if node.peers is not None and cost.setting.gate == "peer":
            text += f" <- {node.peers[position]}"
        texts.append(text)
    return ", ".join(texts)


def _totals(whole: Count) -> str:
    return (
        f"total: {whole.parameters:,} parameters ({whole.trainable:,} trainable), "
        f"{(whole.flops + whole.elementwise) / 1e9:.2f} GFLOPs a clip "
        f"({whole.flops / 1e9:.2f} in convolutions and fully connected layers, 2 a multiply-add), "
        f"{whole.activation_bytes / 2**20:.0f} MiB of float32 activations a clip in training"
    )


def _streams(cost: Cost) -> str:
    whole = cost.total
    rows = [
        (name, *_amounts(count, whole), f"{count.activation_bytes / 2**20:.0f}")
        for name, count in cost.of_streams().items()
    ]
    return _table(("fed by", "parameters", "GFLOPs", "share", "MiB"), rows, {"fed by"})


def _overheads(overheads: Sequence[Overhead]) -> str:
    rows = [
        (
            overhead.choice,
            f"+{overhead.flops:.3f} %",
            f"+{overhead.arithmetic:.3f} %",
            f"+{overhead.unshared:.3f} %",
            f"+{overhead.parameters:.2f} %",
            _kept(overhead),
        )
        for overhead in overheads
    ]
    # The paper does not say which arithmetic its figure counts; the unshared one comes nearest.
    paper = f"+{PAPER_FLOPS_PERCENT} %", f"+{PAPER_PARAMETERS_PERCENT} %", "AssembleNet++-50"
    rows.append(("the paper, discrete", "", "", *paper))
    headings = (
        "peer attention over none",
        "FLOPs",
        "all arithmetic",
        "unshared",
        "parameters",
        "and besides",
    )
    legend = (
        "FLOPs: convolutions and fully connected layers; all arithmetic: as built, with averages "
        "shared by all gates;\nunshared: if each gate took its own averages and scaled its own map."
    )
    return _table(headings, rows, {headings[0], headings[-1]}) + "\n" + legend


def _kept(overhead: Overhead) -> str:
    if not overhead.kept_nodes:
        return ""
    nodes = ", ".join(map(str, overhead.kept_nodes))
    return (
        f"node {nodes} as a peer alone: +{overhead.arithmetic_with_kept:.2f} % arithmetic, "
        f"+{overhead.parameters_with_kept:.2f} % parameters in all"
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: Iterable[str]) -> str:
    """Columns as wide as their widest entry; numbers to the right."""
    table = [tuple(headings), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    aligned = [
        "  ".join(
            text.ljust(width) if heading in left else text.rjust(width)
            for text, width, heading in zip(row, widths, headings, strict=True)
        ).rstrip()
        for row in table
    ]
    return "\n".join(aligned)
