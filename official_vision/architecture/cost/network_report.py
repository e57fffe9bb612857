"""A network as a table for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from official_vision.architecture.connections.connectivity import (
    Learned,
    PeerChoice,
    connection_strengths,
)
from official_vision.architecture.cost.gate_overhead import (
    PAPER_FLOPS_PERCENT,
    PAPER_PARAMETERS_PERCENT,
    Overhead,
)
from official_vision.architecture.cost.layer_cost import Count
from official_vision.architecture.cost.network_cost import Cost
from official_vision.architecture.graph import Block, Stem

_AMOUNTS = ("parameters", "GFLOPs", "G operations", "share")
_HEADINGS = ("node", "level", "block", "output", *_AMOUNTS, "inputs")
_LEFT = {"block", "output", "inputs"}
_PEER_HEADINGS = (
    "connection",
    "strength",
    "likeliest peer",
    "probability",
    "candidates",
    "entropy, bits",
    "of an even choice's",
)


def describe(cost: Cost, overheads: Sequence[Overhead] = (), learned: Learned | None = None) -> str:
    """Returns the whole report: nodes, totals, streams, connections, overheads and warnings.

    Args:
      cost: of the network.
      overheads: of peer attention; empty leaves them out.
      learned: what training made of the connections: strengths in place of the graph's, and peers.
    """
    setting, architecture = cost.setting, cost.architecture
    whole = cost.total
    head = (
        f"{architecture.name}: depth {architecture.depth}, width x {architecture.width_multiplier:g}, "
        f"gate {setting.gate}, {setting.frames} frames of {setting.size} x {setting.size}, "
        f"{setting.num_classes} classes"
    )
    strengths = _strengths(cost, learned)
    rows = _node_rows(cost, strengths)
    sections = [head, _table(_HEADINGS, rows, _LEFT), _totals(whole), _streams(cost)]
    if learned is not None:
        sections.extend(_learned(learned, strengths))
    if overheads:
        sections.append(_overheads(overheads))
    sections.extend(f"note: {warning}" for warning in architecture.warnings())
    return "\n\n".join(sections) + "\n"


def to_dict(
    cost: Cost, overheads: Sequence[Overhead] = (), learned: Learned | None = None
) -> dict[str, Any]:
    """Returns the report as plain JSON values; arguments as in `describe`."""
    strengths = _strengths(cost, learned)
    choices = learned.choices() if learned else {}
    nodes = [
        {
            "index": node.index,
            "level": node.level,
            "inputs": list(cost.architecture.nodes[node.index].inputs),
            "output": list(cost.shape(node.index)),
            "alive": node.index in cost.alive,
            **_numbers(cost.of_node(node.index)),
        }
        for node in cost.plan
    ]
    connections = [
        {
            "source": source,
            "node": consumer,
            "strength": strengths[source, consumer],
            "peers": _peers_to_dict(choices.get((source, consumer))),
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
        "outputs": list(cost.architecture.outputs),
        "connections": connections,
        "learned": _learned_to_dict(learned) if learned else None,
        "streams": {name: _numbers(count) for name, count in cost.of_streams().items()},
        "total": _numbers(cost.total),
        "overheads_percent": [dataclasses.asdict(overhead) for overhead in overheads],
        "warnings": list(cost.architecture.warnings()),
    }


def _strengths(cost: Cost, learned: Learned | None) -> dict[tuple[int, int], float | None]:
    """Returns the strength of every connection by (source, consumer)."""
    strengths = connection_strengths(cost.architecture, learned.strengths if learned else {})
    return {(source, consumer): strength for source, consumer, strength in strengths}


def _peers_to_dict(choice: PeerChoice | None) -> dict[str, Any] | None:
    if choice is None:
        return None
    return {
        "candidates": list(choice.candidates),
        "distribution": list(choice.distribution),
        "likeliest": choice.likeliest,
        "probability": choice.probability,
        "entropy_bits": choice.entropy_bits,
        "entropy_share": choice.entropy_share,
    }


def _learned_to_dict(learned: Learned) -> dict[str, Any]:
    choices = list(learned.choices().values())
    strengths = [strength for values in learned.strengths.values() for strength in values]
    return {
        **learned.source,
        "mean_strength": _mean(strengths),
        "mean_entropy_bits": _mean([choice.entropy_bits for choice in choices]),
        "mean_entropy_share": _mean([choice.entropy_share for choice in choices]),
    }


def _mean(values: Iterable[float | None]) -> float | None:
    """Returns the mean of the values that are not None; None without any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _numbers(count: Count) -> dict[str, int]:
    return {"parameters": count.parameters, **dataclasses.asdict(count)}


def _gate_of(cost: Cost, source: int, consumer: int) -> Count:
    gates = (
        part.count
        for part in cost.parts
        if part.role == "gate" and (part.source, part.node) == (source, consumer)
    )
    return sum(gates, Count())


def _node_rows(
    cost: Cost, strengths: Mapping[tuple[int, int], float | None]
) -> list[tuple[str, ...]]:
    whole = cost.total
    rows = [
        (
            str(node.index),
            str(node.level),
            _what(cost.architecture.nodes[node.index]),
            " x ".join(map(str, cost.shape(node.index))),
            *_amounts(cost.of_node(node.index), whole),
            _inputs(cost, node.index, strengths)
            if node.index in cost.alive
            else "left out: reaches no output",
        )
        for node in cost.plan
    ]
    flow = cost.of_role("flow")
    if flow != Count():
        rows.insert(0, ("", "", "flow from rgb", "", *_amounts(flow, whole), ""))
    outputs = cost.architecture.outputs
    read = f"mean of {', '.join(map(str, outputs))}" if len(outputs) > 1 else ""
    rows.append(("", "", "classifier", "", *_amounts(cost.of_role("head"), whole), read))
    return rows


def _amounts(count: Count, whole: Count) -> tuple[str, ...]:
    """Returns the columns _AMOUNTS; FLOPs are those of `Count.flops`, and the share is of all operations."""
    return (
        f"{count.parameters:,}",
        f"{count.flops / 1e9:.3f}",
        f"{count.arithmetic / 1e9:.3f}",
        f"{count.arithmetic / whole.arithmetic:.1%}",
    )


def _what(node: Stem | Block) -> str:
    dilation = f" dilation {node.temporal_dilation}" if node.temporal_dilation > 1 else ""
    if isinstance(node, Stem):
        return f"{node.kind} stem{dilation if node.kind == 'rgb' else ''}"
    stride = f" stride {node.spatial_stride}" if node.spatial_stride > 1 else ""
    channels = (
        node.channels if isinstance(node.channels, int) else "-".join(map(str, node.channels))
    )
    return f"C {channels}{dilation}{stride}"


def _inputs(cost: Cost, index: int, strengths: Mapping[tuple[int, int], float | None]) -> str:
    """Names the input nodes, each with its strength and its gate's peer where they are known."""
    node = cost.architecture.nodes[index]
    texts = []
    for position, source in enumerate(node.inputs):
        text = str(source)
        strength = strengths[source, index]
        if strength is not None:
            text += f" ({strength:.2f})"
        if node.peers is not None and cost.setting.gate == "peer":
            text += f" <- {node.peers[position]}"
        texts.append(text)
    return ", ".join(texts)


def _totals(whole: Count) -> str:
    return (
        f"total: {whole.parameters:,} parameters ({whole.trainable:,} trainable), "
        f"{whole.flops / 1e9:.3f} GFLOPs per clip (convolutions and fully connected layers, 2 per multiply-add; "
        f"{whole.arithmetic / 1e9:.3f} G operations with norms, activations, pools, sums and scalings), "
        f"{whole.activation_bytes / 2**20:.0f} MiB of float32 activations per clip in training"
    )


def _streams(cost: Cost) -> str:
    whole = cost.total
    rows = [
        (name, *_amounts(count, whole), f"{count.activation_bytes / 2**20:.0f}")
        for name, count in cost.of_streams().items()
    ]
    return _table(("fed by", *_AMOUNTS, "MiB"), rows, {"fed by"})


def _learned(learned: Learned, strengths: Mapping[tuple[int, int], float | None]) -> Iterator[str]:
    """Describes the origin of the strengths, every one-shot connection's peers, and their entropies."""
    source = "".join(f", {name} {learned.source[name]}" for name in ("checkpoint", "step"))
    learnable = [strength for values in learned.strengths.values() for strength in values]
    text = f"learned{source}"
    if learnable:
        text += f": strengths {min(learnable):.2f} to {max(learnable):.2f}"
        text += f", on average {_mean(learnable):.2f}"
    choices = learned.choices()
    if not choices:
        yield text
        return
    yield _table(_PEER_HEADINGS, [_peer_row(*item, strengths) for item in choices.items()], ())
    bits = _mean(choice.entropy_bits for choice in choices.values())
    text += f"\npeers: mean entropy {bits:.2f} bits"
    share = _mean(choice.entropy_share for choice in choices.values())
    if share is not None:
        text += f", {share:.1%} of an even choice's (0 is decided, 100 % undecided)"
    yield text


def _peer_row(
    connection: tuple[int, int],
    choice: PeerChoice,
    strengths: Mapping[tuple[int, int], float | None],
) -> tuple[str, ...]:
    source, consumer = connection
    strength, share = strengths[connection], choice.entropy_share
    return (
        f"{source} -> {consumer}",
        "" if strength is None else f"{strength:.3f}",
        str(choice.likeliest),
        f"{choice.probability:.1%}",
        str(len(choice.candidates)),
        f"{choice.entropy_bits:.3f}",
        "" if share is None else f"{share:.1%}",
    )


def _overheads(overheads: Sequence[Overhead]) -> str:
    rows = [
        (
            overhead.choice,
            f"+{overhead.flops:.3f} %",
            f"+{overhead.arithmetic:.3f} %",
            f"+{overhead.unshared:.3f} %",
            f"+{overhead.parameters:.2f} %",
            _extra_nodes(overhead),
        )
        for overhead in overheads
    ]
    # The paper does not define which arithmetic its figure counts; the unshared one comes nearest.
    paper = f"+{PAPER_FLOPS_PERCENT} %", f"+{PAPER_PARAMETERS_PERCENT} %", "AssembleNet++-50"
    rows.append(("the paper, discrete", "", "", *paper))
    headings = (
        "peer attention over none",
        "FLOPs",
        "operations",
        "unshared",
        "parameters",
        "and besides",
    )
    legend = (
        "FLOPs: convolutions and fully connected layers; operations: all, as built, with averages "
        "shared by all gates;\nunshared: if no gates shared averages or scaled maps."
    )
    return _table(headings, rows, {headings[0], headings[-1]}) + "\n" + legend


def _extra_nodes(overhead: Overhead) -> str:
    if not overhead.kept_nodes:
        return ""
    nodes = ", ".join(map(str, overhead.kept_nodes))
    return (
        f"node {nodes} as a peer alone: +{overhead.arithmetic_with_kept:.2f} % operations, "
        f"+{overhead.parameters_with_kept:.2f} % parameters in all"
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: Iterable[str]) -> str:
    """Aligns columns, as wide as their widest entry; numbers to the right."""
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
