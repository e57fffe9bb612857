"""Speed of a network's forward pass or training step: time, FLOP/s, share of this machine's peak.

All that is compared takes turns, round after round, with matrix products of each dtype: what else the machine
does then touches all of them alike.
"""

from __future__ import annotations

import dataclasses
import functools
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from official.core import config_definitions

from official_vision.architecture.cost.network_cost import estimate
from official_vision.benchmark.spread import spread
from official_vision.config import Config
from official_vision.modeling.builder import build_model, resolve_architecture
from official_vision.modeling.execution import Execution, in_precision
from official_vision.modeling.inference.inference_network import inference_network
from official_vision.modeling.inputs import input_signature
from official_vision.modeling.network import AssembleNet
from official_vision.processes.pool import Workers
from official_vision.progress import tracked
from official_vision.specs import DataSpec
from official_vision.training.cost_setting import setting_of
from official_vision.training.devices import graph_passes
from official_vision.training.devices.compilation import wraps_step
from official_vision.training.devices.threads import threads_in_force, usable_cores
from official_vision.training.devices.visible import set_up
from official_vision.training.optimizers.optimizer_state import make_state
from official_vision.training.task import VideoTask

PRECISIONS = ("float32", "bfloat16")
FORWARD, TRAIN = "forward", "train"
_PASSES = {FORWARD: 1, TRAIN: 3}  # a backward pass costs two forward passes
# Of a bilevel step's second batch: no gradients of convolutions' weights.
_PASSES_OF_CONNECTIONS = 2
_MATRIX = 2048  # rows of the matrices whose product is the peak: beyond caches, 0.04 s on 2 cores
_CLASSES_SHOWN = 12


@dataclasses.dataclass(frozen=True)
class Contender:
    """A callable to time.

    Attributes:
      name: for people.
      precision: one of PRECISIONS.
      clips: a call, 0 of matrix products.
      flops: of a call, 2 per multiply-add.
      run: does it once, to its end.
    """

    name: str
    precision: str
    clips: int
    flops: float
    run: Callable[[], Any]


def measure_networks(
    configs: Mapping[str, Config],
    what: str,
    rounds: int,
    precisions: Sequence[str] = PRECISIONS,
    in_processes: bool = True,
) -> dict[str, Any]:
    """Times networks in turn, on generated clips.

    Args:
      configs: settings by name; forward takes the clips of validation/DataSpec, train those of train/DataSpec.
      what: forward (as exported: batch norms folded) or train (a whole step: loss, gradients, optimizer).
      rounds: in each of which every contender runs once.
      precisions: of PRECISIONS, or fewer.
      in_processes: of train, measure each in a separate process too: its peak memory, and the time
        from starting that process to the end of the first step.

    Returns:
      JSON values: gemm_gflops by precision; rows, each of name, precision, frames, size, batch_size, gflop,
      seconds and clips_per_second and gflops (median, least and most), share_of_gemm, first_call_seconds,
      and with `in_processes` peak_mebibytes and start_to_first_step_seconds.
    """
    contenders = [
        contender(name, config, what, precision)
        for name, config in configs.items()
        for precision in precisions
    ]
    peaks = [matrix_product(precision) for precision in precisions]
    begun = tracked(contenders, len(contenders), "first calls", "networks")
    first = [seconds_of(timed.run) for timed in begun]
    seconds = in_turn([*peaks, *contenders], rounds)
    gemm = {
        peak.precision: peak.flops / statistics.median(times) / 1e9
        for peak, times in zip(peaks, seconds, strict=False)
    }
    rows = []
    for timed, times, first_call in zip(contenders, seconds[len(peaks) :], first, strict=True):
        data = data_of(configs[timed.name], what)
        row = row_of(timed, times, data) | {"first_call_seconds": first_call}
        row["share_of_gemm"] = row["gflops"]["median"] / gemm[timed.precision]
        if what == TRAIN and in_processes:
            row |= _alone(configs[timed.name], timed.precision)
        rows.append(row)
    return {"what": what, "rounds": rounds, "gemm_gflops": gemm, "rows": rows}


def contender(name: str, config: Config, what: str, precision: str) -> Contender:
    """Makes the callable to time, without running it; for training, TrainSpec's threads per operation are set first.

    Args:
      name: for people.
      config: every setting.
      what: forward or train.
      precision: one of PRECISIONS.
    """
    clips, flops = work_of(config, what)
    make = _training_step if what == TRAIN else _forward_pass
    return Contender(name, precision, clips, flops, make(config, precision, data_of(config, what)))


def work_of(config: Config, what: str) -> tuple[int, float]:
    """Returns the clips of a call, and its FLOPs by the cost model (2 per multiply-add); what: forward or train."""
    data = data_of(config, what)
    clips, passes = data.batch_size, _PASSES[what]
    if what == TRAIN and _is_bilevel(config):
        clips, passes = 2 * clips, passes + _PASSES_OF_CONNECTIONS
    architecture = resolve_architecture(config.model)
    cost = estimate(architecture, setting_of(config.model, data)).total.flops
    return clips, float(cost) * data.batch_size * passes


def _is_bilevel(config: Config) -> bool:
    return config.connectivity.updates == "bilevel"  # a step then takes two batches


def data_of(config: Config, what: str) -> DataSpec:
    """Returns the settings of the clips that a forward pass or a training step reads."""
    return config.train_data if what == TRAIN else config.validation_data


def _forward_pass(config: Config, precision: str, data: DataSpec) -> Callable[[], Any]:
    model = build_model(config.model)
    network = inference_network(model, discrete=False, precision=precision, compiled_flow=True)
    features = noise_clips(network, data)
    logits = tf.function(lambda streams: network(streams, training=False)["logits"])
    return lambda: logits(features).numpy()


def _training_step(config: Config, precision: str, data: DataSpec) -> Callable[[], Any]:
    return taking(*whole_step(config, precision, data))


def taking(step: Any, batch: Any, loss: str) -> Callable[[], Any]:
    """Returns a function that takes a step of `whole_step` and returns its loss."""
    strategy = tf.distribute.get_strategy()  # of the caller of this function

    def run() -> Any:
        with graph_passes.left_out():  # as our trainer does
            return strategy.experimental_local_results(step((batch,))[loss])[0].numpy()

    return run


def whole_step(config: Config, precision: str, data: DataSpec) -> tuple[Any, Any, str]:
    """Makes the training step of the current strategy, not yet traced.

    Args:
      config: every setting.
      precision: one of PRECISIONS.
      data: sizes of the clips.

    Returns:
      A tf.function that takes (batch,), a batch of noise, and the name of the loss in what it returns.
    """
    set_up(config.train)  # as a run does; of several networks, the first one's number stays
    task, model, optimizer = training_parts(config, precision)
    train, batch = task.config.train, training_batch(config, model, data)
    # Partial, not a lambda: all lambdas of this line would count as one that is traced again and again.
    replica_step = functools.partial(task.train_step, model=model, optimizer=optimizer)
    if wraps_step(train):
        replica_step = tf.function(replica_step, jit_compile=True, autograph=False)
    strategy = tf.distribute.get_strategy()
    return tf.function(functools.partial(strategy.run, replica_step)), batch, task.loss


def training_parts(
    config: Config, precision: str, execution: Execution | None = None
) -> tuple[VideoTask, AssembleNet, tf_keras.optimizers.Optimizer]:
    """Makes what a training step needs: the task, its network, and its optimizer with all state.

    Args:
      config: every setting; data is not read.
      precision: one of PRECISIONS.
      execution: of the network; None takes training on this machine.
    """
    policy = "float32" if precision == "float32" else f"mixed_{precision}"
    train = dataclasses.replace(config.train, precision=policy)
    config = dataclasses.replace(config, train=train)
    with in_precision(policy):
        architecture = resolve_architecture(config.model)
        garden = config_definitions.TaskConfig()
        task = VideoTask(config, architecture, {}, garden, execution=execution)
        model = task.build_model()
        optimizer = task.create_optimizer()
    if config.optimizer.ema_decay:  # as Model Garden's trainer begins
        optimizer.shadow_copy(model)
    make_state(optimizer, task.trained)  # as ours does
    return task, model, optimizer


def training_batch(
    config: Config, model: AssembleNet, data: DataSpec, seeds: tf.Tensor | None = None
) -> Any:
    """Makes a step's input of noise, one label per clip; of bilevel updates the same batch twice.

    Args:
      config: every setting.
      model: whose streams and classes there are.
      data: sizes of the clips.
      seeds: of dropout, int32 [batch, 2]; None leaves it to TensorFlow's state.
    """
    rows, classes = data.batch_size, model.spec.num_classes
    labels = {"labels": tf.one_hot(np.arange(rows) % classes, classes), "mask": tf.ones(rows)}
    if config.loss.frame_share:
        labels["frame_labels"] = tf.repeat(labels["labels"][:, tf.newaxis], data.frames, axis=1)
    if seeds is not None:
        labels["dropout_seed"] = seeds
    batch = (noise_clips(model, data), labels)
    return (batch, batch) if _is_bilevel(config) else batch


def noise_clips(model: AssembleNet, data: DataSpec) -> dict[str, tf.Tensor]:
    """Draws noise in the shape of clips, with a dozen object classes, as clips show: the others cost nothing."""
    random = np.random.default_rng(0)
    shapes = input_signature(model.streams, data.batch_size, data.frames, data.size)
    shown = random.permutation(model.spec.num_object_classes)[:_CLASSES_SHOWN].astype(np.uint8)
    drawn = {
        "rgb": lambda shape: random.integers(0, 256, shape, np.uint8),
        "flow": lambda shape: random.normal(0, 2, shape).astype(np.float32),
        "objects": lambda shape: random.choice(shown, shape),
    }
    return {name: tf.constant(drawn[name](tuple(shape.shape))) for name, shape in shapes.items()}


def matrix_product(precision: str) -> Contender:
    """Makes the product of two square matrices that measures the peak of this process's cores."""
    left, right = (tf.cast(tf.random.normal([_MATRIX, _MATRIX]), precision) for _ in range(2))
    parts = row_parts(left)
    product = tf.function(
        # Of each a column: their sum is the same however many parts there are.
        lambda: tf.add_n([tf.reduce_sum(tf.matmul(rows, right)[:, 0]) for rows in parts])
    )
    product()
    return Contender("GEMM", precision, 0, 2.0 * _MATRIX**3, lambda: product().numpy())


def row_parts(matrix: tf.Tensor) -> list[tf.Tensor]:
    """Cuts a matrix by rows into parts that keep all cores busy, with the threads that an operation has."""
    count = max(1, usable_cores() // threads_in_force())
    sizes = [len(rows) for rows in np.array_split(range(len(matrix)), count)]
    return tf.split(matrix, sizes)


def seconds_of(run: Callable[[], Any]) -> float:
    """Returns the seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turn(
    contenders: Sequence[Contender], rounds: int, title: str = "measuring"
) -> list[list[float]]:
    """Runs contenders in turn, round after round, and shows how far it is.

    Args:
      contenders: to run.
      rounds: of all of them.
      title: names the work on standard error.

    Returns:
      The seconds of each one's calls.
    """
    seconds: list[list[float]] = [[] for _ in contenders]
    for _ in tracked(range(rounds), rounds, title, "rounds"):
        for times, contender_ in zip(seconds, contenders, strict=True):
            times.append(seconds_of(contender_.run))
    return seconds


def row_of(network: Contender, seconds: Sequence[float], data: DataSpec) -> dict[str, Any]:
    """Returns a contender's row of `measure_networks`, as far as its seconds determine it."""
    return {
        "name": network.name,
        "precision": network.precision,
        "frames": data.frames,
        "size": data.size,
        "batch_size": network.clips,
        "gflop": network.flops / 1e9,
        "seconds": spread(seconds),
        "clips_per_second": spread([network.clips / s for s in seconds]),
        "gflops": spread([network.flops / s / 1e9 for s in seconds]),
    }


def _alone(config: Config, precision: str) -> dict[str, float]:
    """Measures peak memory and start of a training step in a separate process."""
    start = time.perf_counter()
    with Workers(_first_step, 1) as processes:
        mebibytes = processes.submit((config, precision)).result()
        return {
            "peak_mebibytes": mebibytes,
            "start_to_first_step_seconds": time.perf_counter() - start,
        }


def _first_step(job: tuple[Config, str]) -> float:
    """Takes a training step; returns the process's greatest memory so far, in MiB."""
    config, precision = job
    contender("alone", config, TRAIN, precision).run()
    return _peak_mebibytes()


def _peak_mebibytes() -> float:
    """Returns this process's peak memory; ru_maxrss begins with the peak of the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def network_text(result: Mapping[str, Any]) -> str:
    """Returns the figures as a table for the screen; ratios are to the first network, in the same precision."""
    gemm = ", ".join(f"{name} {rate:.0f}" for name, rate in result["gemm_gflops"].items())
    width = max(len(row["name"]) for row in result["rows"])
    lines = [
        f"{result['what']}, {result['rounds']} rounds; GEMM of this run, GFLOP/s: {gemm}",
        f"{'network':<{width}} {'precision':<9} {'clip':>15} {'seconds':>21} {'clips/s':>8} {'GFLOP/s':>8} "
        f"{'of GEMM':>8} {'x first':>8} {'first call':>11} {'peak MiB':>9} {'first step':>11}",
    ]
    base: dict[str, float] = {}
    for row in result["rows"]:
        seconds = row["seconds"]
        ratio = base.setdefault(row["precision"], seconds["median"]) / seconds["median"]
        clip = f"{row['batch_size']} x {row['frames']} x {row['size']}²"
        range_text = f"{seconds['median']:.3f} ({seconds['least']:.3f}-{seconds['most']:.3f})"
        peak, start = row.get("peak_mebibytes"), row.get("start_to_first_step_seconds")
        lines.append(
            f"{row['name']:<{width}} {row['precision']:<9} {clip:>15} {range_text:>21} "
            f"{row['clips_per_second']['median']:8.2f} {row['gflops']['median']:8.1f} "
            f"{row['share_of_gemm']:8.1%} {ratio:8.2f} {row['first_call_seconds']:9.1f} s "
            f"{'' if peak is None else format(peak, '.0f'):>9} "
            f"{'' if start is None else format(start, '.1f') + ' s':>11}"
        )
    return "\n".join(lines)
