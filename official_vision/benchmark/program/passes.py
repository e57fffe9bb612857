"""Training steps and forward passes of a network as programs, and what a small one must compute."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from official_vision.benchmark.network_speed import (
    FORWARD,
    TRAIN,
    data_of,
    noise_clips,
    training_batch,
    training_parts,
)
from official_vision.config import Config
from official_vision.modeling.builder import build_model
from official_vision.modeling.execution import portable_execution
from official_vision.modeling.inference.inference_network import inference_network
from official_vision.modeling.network import AssembleNet
from official_vision.serving.export.converters.program import Program, products, to_program
from official_vision.specs import DataSpec
from official_vision.training.optimizers.optimizer_state import all_state

# float32 multiplies in float32, tf32 as an NVIDIA GPU does by default: with 10 bits of fraction.
PRECISIONS = ("float32", "tf32", "bfloat16")
PASSES = (TRAIN, FORWARD)
# Of a check. What coarser products round grows from step to step.
STEPS = {"float32": 10, "tf32": 5, "bfloat16": 3}
SMALL_BYTES = 16 << 20  # inputs of programs that are written with their values
# Added to the weights of a check: some start at 0, and nothing would depend on those behind them.
_NOISE = 0.05


@dataclasses.dataclass(frozen=True)
class Check:
    """What a small program must compute.

    Attributes:
      seeds: int32 [steps, ...], the dropout's seeds in each step; None where there are none.
      expected: float32 [steps, ...], the first result of each step, by TensorFlow's operations without XLA;
        with dropout by XLA, whose random numbers are others than those of TensorFlow's operations.
    """

    seeds: np.ndarray | None
    expected: np.ndarray


def training_program(config: Config, precision: str) -> tuple[Program, Check | None]:
    """Converts a whole training step: loss, gradients, optimizer, batch norm's and other averages.

    Args:
      config: every setting; clips are those of train/DataSpec.
      precision: one of PRECISIONS.

    Returns:
      The program, and what it must compute where it is small.
    """
    config = _plain(config)
    data = data_of(config, TRAIN)
    execution = portable_execution(config.train.rematerialise)
    tf_keras.utils.set_random_seed(config.train.seed)
    parts = training_parts(config, _arithmetic(precision), execution)
    _spread(parts[1])
    batch = training_batch(config, parts[1], data, _seeds(config, data, 0))
    with products(precision):
        program = to_program(
            functools.partial(_loss_of, parts), batch, ["loss"], all_state(parts[2])
        )
    if not _is_small(program):
        return program, None
    return program, _expected_losses(config, precision, parts, data)


def forward_program(config: Config, precision: str) -> tuple[Program, Check | None]:
    """Converts a forward pass of the network as it is exported: batch norms folded, gates as they are.

    Args:
      config: every setting; clips are those of validation/DataSpec.
      precision: one of PRECISIONS.

    Returns:
      The program, and what it must compute where it is small.
    """
    config = _plain(config)
    tf_keras.utils.set_random_seed(config.train.seed)
    model = build_model(config.model)
    _spread(model)
    network = inference_network(model, discrete=False, precision=_arithmetic(precision))
    clips = noise_clips(network, data_of(config, FORWARD))

    def logits(streams: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.cast(network(streams, training=False)["logits"], tf.float32)

    with products(precision):
        program = to_program(logits, clips, ["logits"])
    if not _is_small(program):
        return program, None
    return program, Check(None, tf.function(logits)(clips).numpy()[np.newaxis])


def _plain(config: Config) -> Config:
    return dataclasses.replace(
        config, model=dataclasses.replace(config.model, plain_tensorflow=True)
    )


def _arithmetic(precision: str) -> str:
    return "bfloat16" if precision == "bfloat16" else "float32"


def _spread(model: AssembleNet) -> None:
    """Adds noise to the weights of a network that may be small enough for a check."""
    if 4 * model.count_params() > SMALL_BYTES:
        return
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        noise = random.normal(0, _NOISE, variable.shape).astype(np.float32)
        variable.assign_add(tf.cast(noise, variable.dtype))


def _seeds(config: Config, data: DataSpec, step: int) -> tf.Tensor | None:
    """Returns a step's seeds of each clip's dropout, int32 [batch, 2], as the input pipeline draws them."""
    if not config.model.dropout_rate:
        return None
    drawn = np.random.default_rng(step).integers(0, 2**31, (data.batch_size, 2))
    return tf.constant(drawn.astype(np.int32))


def _loss_of(parts: tuple[Any, ...], batch: Any) -> tf.Tensor:
    task, model, optimizer = parts
    return task.train_step(batch, model, optimizer)[task.loss]


def _is_small(program: Program) -> bool:
    return sum(array.nbytes for array in program.initial) <= SMALL_BYTES


def _expected_losses(
    config: Config, precision: str, parts: tuple[Any, ...], data: DataSpec
) -> Check:
    """Takes the steps of a check on this machine, from the same weights; see `Check`."""
    _, model, optimizer = parts
    again = training_parts(config, _arithmetic(precision))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "start")
        tf.train.Checkpoint(model=model, optimizer=optimizer).write(path)
        status = tf.train.Checkpoint(model=again[1], optimizer=again[2]).read(path)
        status.assert_consumed()
    drops = bool(config.model.dropout_rate)
    step = tf.function(functools.partial(_loss_of, again), autograph=False, jit_compile=drops)
    losses, seeds = [], []
    for number in range(STEPS[precision]):
        seed = _seeds(config, data, number)
        seeds.append(seed)
        losses.append(step(training_batch(config, again[1], data, seed)).numpy())
    drawn = None if seeds[0] is None else np.stack([seed.numpy() for seed in seeds])
    return Check(drawn, np.array(losses))
