"""Profiles of a network: time by node, by stream and by kind of operation, beside the FLOPs of each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision.architecture.cost.network_cost import (
    Cost,
    estimate,
    fed_by,
    feeding_classifier,
)
from official_vision.architecture.graph import Architecture
from official_vision.benchmark.network_speed import PRECISIONS, contender, data_of, seconds_of
from official_vision.benchmark.profile.trace import XLA, Kernel, traced
from official_vision.benchmark.spread import spread
from official_vision.config import Config
from official_vision.modeling.builder import resolve_architecture
from official_vision.training.cost_setting import setting_of

FLOW, HEAD, SHARED, REST = "flow", "head", "shared by nodes", "outside the network"
OTHER_KIND = "element-wise and other"
_KINDS = {
    "convolution": r"Conv[23]D",
    "matrix product": r"MatMul|Einsum",
    "batch norm": r"BatchNorm",
    "pooling": r"Pool",
    "compiled by XLA": rf"^{XLA}$",
    "weights read and updated": r"Resource|Variable|L2Loss|^Assign",
    "values moved": r"Cast|Concat|Slice|Pack|Gather|Transpose|SpaceToDepth|Tile|Pad|Split|Reshape|ToTf",
}


def place_of(path: str) -> str:
    """Returns the place of an operation in the network: a node such as "node 05", FLOW, HEAD, SHARED or REST.

    SHARED are maps pooled once for several consumers, and averages that gates read; REST is loss, optimizer and
    all else outside the network.

    Args:
      path: the operation's name in its graph, or of its gradient's.
    """
    node = re.search(r"/node_(\d+)(?:/|$)", path)
    if node:
        return f"node {node[1]}"
    if re.search(r"(?:/flow(?:/|$)|_inference__flow_)", path):
        return FLOW
    if "/head/" in path:
        return HEAD
    return SHARED if re.search(r"(?:^|/)assemble_net(?:_\d+)?/", path) else REST


def kind_of(operation: str) -> str:
    """Returns the kind of an operation type: one of those drawn, else OTHER_KIND."""
    kinds = (kind for kind, pattern in _KINDS.items() if re.search(pattern, operation))
    return next(kinds, OTHER_KIND)


def measure_profiles(
    configs: Mapping[str, Config],
    what: str,
    rounds: int,
    folder: str | os.PathLike,
    precisions: Sequence[str] = PRECISIONS,
) -> dict[str, Any]:
    """Times each network without the profiler, then profiles it.

    Args:
      configs: settings by name.
      what: forward or train, as `measure_networks` runs them.
      rounds: calls with and without the profiler.
      folder: where each network's trace is left for TensorBoard, in NAME-PRECISION.
      precisions: of PRECISIONS, or fewer.

    Returns:
      JSON values: what, rounds, and profiles: name, precision, seconds of a call (median, least, most),
      kernel_seconds (summed over threads, a call), and places, streams and kinds, each a list of name,
      seconds, share of kernel_seconds and, but for kinds, share_of_flops.
    """
    profiles = []
    for name, config in configs.items():
        architecture = resolve_architecture(config.model)
        cost = estimate(architecture, setting_of(config.model, data_of(config, what)))
        for precision in precisions:
            run = contender(name, config, what, precision).run
            run()  # traces and compiles
            seconds = spread([seconds_of(run) for _ in range(rounds)])
            kernels = traced(run, rounds, Path(folder) / f"{name}-{precision}")
            summed = summary(kernels, rounds, architecture, cost)
            profiles.append({"name": name, "precision": precision, "seconds": seconds} | summed)
    return {"what": what, "rounds": rounds, "profiles": profiles}


def summary(
    kernels: Sequence[Kernel], calls: int, architecture: Architecture, cost: Cost
) -> dict[str, Any]:
    """Adds up the kernels' seconds by place, stream and kind.

    Args:
      kernels: that ran, of all calls.
      calls: how many.
      architecture, cost: of the network that ran.

    Returns:
      kernel_seconds, places, streams and kinds, as of `measure_profiles`; the most time first except for
      places, which are in the graph's order.
    """
    fed = fed_by(architecture)
    streams = {_node(i): "+".join(names) for i, names in enumerate(fed)}
    streams |= {HEAD: "+".join(feeding_classifier(architecture))}
    places = _added((place_of(kernel.path), kernel.seconds / calls) for kernel in kernels)
    flops = {_node(i): float(cost.of_node(i).flops) for i in sorted(cost.alive)}
    flops |= {role: float(cost.of_role(role).flops) for role in (FLOW, HEAD)}
    in_order = [name for name in (*flops, SHARED, REST) if places.get(name)]
    by_time = _by_time(_added((streams.get(p, p), s) for p, s in places.items()))
    done = _added((streams.get(p, p), a) for p, a in flops.items())
    return {
        "kernel_seconds": sum(places.values()),
        "places": _shares({name: places[name] for name in in_order}, flops),
        "streams": _shares(by_time, done),
        "kinds": _shares(
            _by_time(
                _added((kind_of(kernel.operation), kernel.seconds / calls) for kernel in kernels)
            )
        ),
    }


def _node(index: int) -> str:
    return f"node {index:02d}"


def _added(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for name, value in pairs:
        sums[name] = sums.get(name, 0.0) + value
    return sums


def _by_time(seconds: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def _shares(
    seconds: Mapping[str, float], flops: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    whole = sum(seconds.values())
    rows = [{"name": n, "seconds": s, "share": s / whole} for n, s in seconds.items()]
    if flops is not None:
        of_all = sum(flops.values())
        for row in rows:
            row["share_of_flops"] = flops.get(row["name"], 0.0) / of_all
    return rows


def profile_text(result: Mapping[str, Any]) -> str:
    """Returns the figures as tables for the screen."""
    blocks = []
    for profile in result["profiles"]:
        lines = [
            f"{result['what']} of {profile['name']}, {profile['precision']}: "
            f"{profile['seconds']['median']:.3f} s per call; "
            f"kernels, summed over threads, {profile['kernel_seconds']:.3f} s",
            f"  {'':<28} {'seconds':>8} {'share':>6}  of FLOPs",
        ]
        for table in ("places", "streams", "kinds"):
            lines += [_line(row) for row in profile[table]] + [""]
        blocks.append("\n".join(lines[:-1]))
    return "\n\n".join(blocks)


def _line(row: Mapping[str, Any]) -> str:
    flops = row.get("share_of_flops")
    end = "" if flops is None else f"{flops:8.1%}"
    return f"  {row['name']:<28} {row['seconds']:8.4f} {row['share']:6.1%}{end}"
