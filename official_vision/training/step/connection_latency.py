"""The time of carrying each connection's map on this machine, measured once and stored in the run's folder."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from official_vision import files, formats
from official_vision.architecture.cost.connection_cost import ConnectionCosts
from official_vision.architecture.cost.network_cost import Setting
from official_vision.architecture.graph import Architecture
from official_vision.architecture.plan import make_plan
from official_vision.errors import UserError

LATENCY_FILE = "connection_latency.json"
_CONNECTIONS = "connections"
_REPEATS = 5
# (frames, side of the map, its channels, pool, channels after the 1x1 convolution or 0 for none)
_Shape = tuple[int, int, int, int, int]


def connection_latencies(
    architecture: Architecture, setting: Setting, folder: str | Path
) -> ConnectionCosts:
    """Returns seconds per clip for each connection's pool, scaling and 1x1 convolution.

    Each is timed as if it were the block's only one, the median of five calls. Gates work on one
    vector per frame and are taken to cost nothing. The first call writes the figures into `folder`;
    later ones read them, so that a resumed run weighs connections as before.

    Args:
      architecture: the network.
      setting: of the clip and the gates.
      folder: of the run.

    Raises:
      UserError: figures in the folder that are of other connections.
    """
    path = Path(folder) / LATENCY_FILE
    routes = _routes(architecture, setting)
    if not path.is_file():
        seconds = {shape: measure(shape) for shape in sorted(set(routes.values()))}
        rows = [
            {"source": source, "consumer": consumer, "seconds": seconds[shape]}
            for (source, consumer), shape in routes.items()
        ]
        formats.LATENCIES.write(path, {_CONNECTIONS: rows})
    rows = formats.LATENCIES.read(path, {_CONNECTIONS: list})[_CONNECTIONS]
    with files.damage_reported(path):
        maps = {(row["source"], row["consumer"]): float(row["seconds"]) for row in rows}
    if maps.keys() != routes.keys():
        raise UserError(
            f"Measured latencies must be of the network's connections. Received: {path}, of others. "
            "Delete the file to measure again."
        )
    return ConnectionCosts(maps, dict.fromkeys(maps, ()), "seconds")


def _routes(architecture: Architecture, setting: Setting) -> dict[tuple[int, int], _Shape]:
    plan = make_plan(architecture, setting.num_object_classes)
    alive = architecture.live_nodes(gated_by_peers=setting.gate == "peer")
    routes = {}
    for node in plan:
        if node.fusion is None or node.index not in alive:
            continue
        for source, width, ratio in zip(
            node.fusion.inputs, node.fusion.input_channels, node.fusion.pool_ratios, strict=True
        ):
            target = node.fusion.target_channels if width in node.fusion.convolved_widths else 0
            side = -(-setting.size // plan[source].stride)
            routes[source, node.index] = (setting.frames, side, width, ratio, target)
    return routes


def measure(shape: tuple[int, int, int, int, int]) -> float:
    """Times one connection.

    Args:
      shape: frames, side of the map in pixels, channels, ratio of the pool, and channels after the
        1x1 convolution (0 for none).

    Returns:
      Seconds, the median of five calls after a first one that traces.
    """
    frames, side, channels, ratio, target = shape
    x = tf.random.stateless_uniform([frames, side, side, channels], [0, 1])
    kernel = tf.random.stateless_uniform([1, 1, channels, max(target, 1)], [0, 2])

    @tf.function(autograph=False)
    def carry(x: tf.Tensor) -> tf.Tensor:
        pooled = tf.nn.max_pool2d(x, ratio, ratio, "SAME") if ratio > 1 else x
        scaled = 0.5 * pooled
        return tf.nn.conv2d(scaled, kernel, 1, "SAME") if target else scaled

    carry(x)
    return statistics.median(_seconds(lambda: carry(x)) for _ in range(_REPEATS))


def _seconds(work: Callable[[], tf.Tensor]) -> float:
    began = time.perf_counter()
    work()
    tf.test.experimental.sync_devices()
    return time.perf_counter() - began
