"""Steps of training and evaluation have static shapes, and operations that XLA compiles: what a TPU needs.

No TPU is needed: TensorFlow registers a kernel of XLA for each operation that its bridge translates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

from official_vision.data.input.pipeline import build_dataset
from official_vision.modeling.execution import in_precision
from official_vision.specs import DataSpec
from official_vision.training.task import VideoTask
from tests.training import runs, steps
from tests.training.test_compiled_step import bilevel_search, whole_step

# Of the caller: arguments and results, which are no computation.
_BOUNDARY = {"Placeholder", "_Arg", "_Retval"}
# XLA's device for CPUs compiles these by leaving them out or by asking the host, or gives them sizes that depend on
# values; TPUs wait for the host, or fill up to a bound.
_NOT_ON_A_TPU = {
    *("Assert", "CheckNumerics", "Print", "PrintV2", "XlaHostCompute", "XlaSendToHost"),
    *("Where", "Unique", "UniqueV2", "UniqueWithCountsV2", "DenseBincount"),
    *("NonMaxSuppressionV3", "NonMaxSuppressionV4", "StringFormat"),
}
# What a batch norm reserves for its gradient has a shape that each device chooses.
_RESERVED = ("FusedBatchNormV3", 5)
_NO_TYPES = {tf.string, tf.variant, tf.float64, tf.complex128}


@pytest.fixture(scope="module")
def compiled_by_xla() -> set[str]:
    """Operations that XLA has kernels of, which TensorFlow registers when it first compiles something."""
    tf.function(lambda x: x + 1.0, jit_compile=True)(0.0)
    rows = kernels.get_all_registered_kernels().kernel
    return {row.op for row in rows if row.device_type == "XLA_CPU_JIT"}


def bodies(graph: tf.Graph) -> Iterator[tf.Graph]:
    """A graph, and those of the functions that it calls: loops and branches."""
    yield graph
    for definition in graph.as_graph_def().library.function:
        yield function_def_to_graph(definition)


def faults_of(step: Callable[..., Any], inputs: Any, compiled_by_xla: set[str]) -> list[str]:
    """What in a step, traced for inputs of fixed shapes, a TPU would not take, each with its place."""
    traced = tf.function(step, autograph=False).get_concrete_function(inputs)
    allowed = (compiled_by_xla | _BOUNDARY) - _NOT_ON_A_TPU
    faults = []
    for graph in bodies(traced.graph):
        for operation in graph.get_operations():
            if operation.type not in allowed:
                faults.append(f"{operation.type} at {operation.name}")
            types = {output.dtype for output in operation.outputs} & _NO_TYPES
            faults += [f"{dtype.name} at {operation.name}" for dtype in types]
            if graph is traced.graph:  # those of functions have lost the shapes of their variables
                faults += _dynamic(operation)
    return faults


def _dynamic(operation: tf.Operation) -> list[str]:
    return [
        f"shape {output.shape} at {operation.name}"
        for number, output in enumerate(operation.outputs)
        if output.consumers() and (operation.type, number) != _RESERVED
        if output.dtype != tf.resource and not output.shape.is_fully_defined()
    ]


def training(task: VideoTask) -> Callable[..., Any]:
    model, optimizer = steps.start(task)
    return lambda batch: task.train_step(batch, model, optimizer)[task.loss]


@pytest.mark.slow
def test_a_training_step_is_of_static_shapes_and_of_operations_that_xla_has(compiled_by_xla):
    """Parts, frozen weights, two optimizers, a moving average; a bilevel search in bfloat16; computed flow."""
    assert len(compiled_by_xla) > 300
    batches = (steps.batch(seed=0), steps.batch(seed=1))
    assert not faults_of(training(whole_step(True)), batches[0], compiled_by_xla)
    with in_precision("mixed_bfloat16"):
        assert not faults_of(training(bilevel_search(True)), batches, compiled_by_xla)
    computing = steps.make_task(streams=("rgb", "flow"), flow_source="computed", compiled=True)
    features, targets = batches[0]
    inputs = ({"rgb": features["rgb"]}, targets)
    assert not faults_of(training(computing), inputs, compiled_by_xla)


def test_an_evaluation_step_is_too(compiled_by_xla):
    task = steps.make_task(compiled=True)
    model, _ = steps.start(task)
    inputs = steps.batch()
    inputs[1]["video"] = tf.range(4)
    step = lambda batch: task.validation_step(batch, model)  # noqa: E731
    assert not faults_of(step, inputs, compiled_by_xla)


@pytest.mark.parametrize(
    ("offence", "fault"),
    [
        (lambda x: tf.py_function(lambda y: y, [x], tf.float32), "EagerPyFunc"),
        (lambda x: tf.boolean_mask(x, x > 0), "Where"),
        (lambda x: tf.unique(x).y, "Unique"),
        (lambda x: tf.strings.as_string(x), "AsString"),
        (lambda x: tf.cast(x, tf.float64), "float64"),
        (lambda x: tf.image.non_max_suppression(tf.ones([4, 4]), x, 2), "NonMaxSuppression"),
        (lambda x: tf.while_loop(lambda y: y[0] < 9, _printed, [x]), "PrintV2"),
        (lambda x: tf.timestamp() + 0 * tf.cast(x[0], tf.float64), "Timestamp"),
        (lambda x: tf.math.bincount(tf.cast(x, tf.int32)), "Bincount"),
        (lambda x: 2 * tf.reshape(x, [tf.cast(x[0], tf.int32), -1]), "shape (None, None)"),
    ],
)
def test_what_a_tpu_would_not_take_is_noticed(offence, fault, compiled_by_xla):
    faults = faults_of(offence, tf.ones([4]), compiled_by_xla)
    assert any(fault in line for line in faults), faults


def _printed(x: tf.Tensor) -> tf.Tensor:
    tf.print(x)
    return x + 1


@pytest.mark.slow
@pytest.mark.parametrize("training", [True, False])
def test_batches_have_static_shapes(training, tmp_path):
    """Evaluation's last batch, which 6 videos don't fill, too."""
    index = runs.write_split(tmp_path / "split", [0, 1, 2, 3, 0, 1])
    spec = DataSpec(path=str(tmp_path / "split"), batch_size=4, frames=2, size=32)
    batches = build_dataset(spec, index, runs.STREAMS, training=training)
    for part in tf.nest.flatten(batches.element_spec):
        assert part.shape.is_fully_defined(), part
    masks = [targets["mask"].numpy().sum() for _, targets in batches.take(2)]
    assert masks == ([4, 4] if training else [4, 2])
