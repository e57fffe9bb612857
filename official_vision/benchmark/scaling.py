"""Speed of a training step over several processes of this machine, as over several machines."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import statistics
from collections.abc import Sequence
from concurrent import futures
from typing import Any

from official_vision.benchmark.communication import Exchange, exchanges_of, make_exchange
from official_vision.benchmark.network_speed import (
    PRECISIONS,
    TRAIN,
    Contender,
    in_turn,
    matrix_product,
    row_of,
    seconds_of,
    taking,
    whole_step,
    work_of,
)
from official_vision.benchmark.spread import spread
from official_vision.config import Config
from official_vision.errors import UserError
from official_vision.processes.pool import Workers
from official_vision.training.devices.strategies import make_strategy
from official_vision.training.devices.visible import set_up


@dataclasses.dataclass(frozen=True)
class _Part:
    """The job of one process.

    Attributes:
      config: every setting, with this process's share of the batch.
      precision: one of PRECISIONS.
      rounds: in each of which the step and a matrix product run once.
      addresses: of all processes, on the loopback device; of a single one none.
      index: of this process among them.
      cores: that it may use.
    """

    config: Config
    precision: str
    rounds: int
    addresses: tuple[str, ...]
    index: int
    cores: tuple[int, ...]


def measure_scaling(
    config: Config, counts: Sequence[int], rounds: int, precisions: Sequence[str] = PRECISIONS
) -> dict[str, Any]:
    """Times a whole training step of one batch, shared by several processes (multi_worker_mirrored).

    Each process has separate cores, as many as each of the greatest number of processes can have:
    a worker's machine is the same in all rows, not that of all together. One number of processes follows
    the other; the matrix products of each row run in its processes, in turn with the steps.

    Args:
      config: every setting; TrainSpec.strategy is not read.
      counts: of processes.
      rounds: in each of which a step and a matrix product run once.
      precisions: of PRECISIONS, or fewer.

    Returns:
      As `measure_networks`; rows are named "workers N", share_of_gemm is of the products of all their processes
      together, and gemm_gflops is that of one process. Rows also have workers; efficiency, their clips per second
      over those of the first row, both per worker; exchanges, exchanged_megabytes and communication_seconds, of
      what a step sums over its processes, timed by itself.

    Raises:
      UserError: a batch that can't be shared out, more processes than cores, or no Linux.
    """
    cores = _cores(config, counts)
    rows, gemm = [], {}
    for precision in precisions:
        for count in counts:
            parts = _parts(config, precision, rounds, cores[:count])
            row, products = _measured(config, parts)
            first = next((r for r in rows if r["precision"] == precision), row)
            row["efficiency"] = _clips_per_worker(row) / _clips_per_worker(first)
            rows.append(row)
            gemm.setdefault(precision, products / count)
    return {"what": TRAIN, "rounds": rounds, "gemm_gflops": gemm, "rows": rows}


def _clips_per_worker(row: dict[str, Any]) -> float:
    return row["clips_per_second"]["median"] / row["workers"]


def _cores(config: Config, counts: Sequence[int]) -> list[tuple[int, ...]]:
    """Returns equal sets of cores, one per process."""
    batch = config.train_data.batch_size
    if any(count < 1 or batch % count for count in counts):
        raise UserError(
            f"Workers share a batch equally. Received: train/DataSpec.batch_size = {batch} for "
            f"{', '.join(map(str, counts))} workers. Choose a batch that all of these divide."
        )
    if not hasattr(os, "sched_setaffinity"):
        raise UserError(
            "Workers are pinned to separate cores, which only Linux can do. Received: another system. "
            "Leave --grow=workers away."
        )
    cores, most = sorted(os.sched_getaffinity(0)), max(counts)
    if most > len(cores):
        raise UserError(
            f"Each worker needs a separate core. Received: {most} workers, {len(cores)} cores. Name fewer workers."
        )
    share = len(cores) // most
    return [tuple(cores[i * share : (i + 1) * share]) for i in range(most)]


def _parts(
    config: Config, precision: str, rounds: int, cores: Sequence[tuple[int, ...]]
) -> list[_Part]:
    batch_size = config.train_data.batch_size // len(cores)
    strategy = "multi_worker_mirrored" if len(cores) > 1 else "one_device"
    config = dataclasses.replace(
        config,
        train=dataclasses.replace(config.train, strategy=strategy),
        train_data=dataclasses.replace(config.train_data, batch_size=batch_size),
    )
    addresses = tuple(free_addresses(len(cores))) if len(cores) > 1 else ()
    return [
        _Part(config, precision, rounds, addresses, index, core_set)
        for index, core_set in enumerate(cores)
    ]


def free_addresses(count: int) -> list[str]:
    """Returns addresses of the loopback device, as TF_CONFIG names workers, whose ports are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{listener.getsockname()[1]}" for listener in sockets]


def _measured(config: Config, parts: Sequence[_Part]) -> tuple[dict[str, Any], float]:
    """Returns the row of all processes together, and the GFLOP/s of all their matrix products."""
    with Workers(_work, len(parts)) as processes:
        begun = [processes.submit(part) for part in parts]
        # One that fails leaves the others waiting for it.
        futures.wait(begun, return_when=futures.FIRST_EXCEPTION)
        done = [future.result() for future in begun if future.done()]
    # A step ends when its slowest process does.
    seconds = [max(times) for times in zip(*(part.seconds for part in done), strict=True)]
    flops, products = sum(part.flops for part in done), sum(part.gemm_gflops for part in done)
    clips = config.train_data.batch_size
    step = Contender(f"workers {len(parts)}", parts[0].precision, clips, flops, lambda: None)
    row = row_of(step, seconds, config.train_data)
    row["share_of_gemm"] = row["gflops"]["median"] / products
    exchanged = done[0].exchanges
    communication = [max(times) for times in zip(*(p.communication for p in done), strict=True)]
    row |= {
        "first_call_seconds": max(part.first_seconds for part in done),
        "workers": len(parts),
        "exchanges": len(exchanged),
        "exchanged_megabytes": sum(e.values * e.dtype.size for e in exchanged) / 1e6,
        "communication_seconds": spread(communication),
    }
    return row, products


@dataclasses.dataclass(frozen=True)
class _Done:
    """The figures of one process.

    Attributes:
      seconds: of the steps.
      communication: seconds of their exchanges alone.
      first_seconds: of the first step, tracing included.
      flops: of a step.
      gemm_gflops: of its matrix products.
      exchanges: of a step.
    """

    seconds: list[float]
    communication: list[float]
    first_seconds: float
    flops: float
    gemm_gflops: float
    exchanges: list[Exchange]


def _work(part: _Part) -> _Done:
    # Before TensorFlow counts cores, which it does when it first computes.
    os.sched_setaffinity(0, part.cores)
    if part.addresses:
        cluster = {"worker": part.addresses}
        task = {"type": "worker", "index": part.index}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    set_up(part.config.train)
    with make_strategy(part.config.train).scope():
        clips, flops = work_of(part.config, TRAIN)
        step, batch, loss = whole_step(part.config, part.precision, part.config.train_data)
        take_step = taking(step, batch, loss)
        first = seconds_of(take_step)
        exchanges = exchanges_of(step, (batch,))
        contenders = [
            matrix_product(part.precision),
            Contender("step", part.precision, clips, flops, take_step),
            Contender("exchanges", part.precision, 0, 0.0, make_exchange(exchanges)),
        ]
        contenders[-1].run()  # traced
        products, seconds, communication = in_turn(contenders, part.rounds, f"worker {part.index}")
    gflops = contenders[0].flops / statistics.median(products) / 1e9
    return _Done(seconds, communication, first, flops, gflops, exchanges)
