"""A TensorFlow function with its variables as one StableHLO program of plain inputs and results.

XLA takes a function's variables as inputs behind its arguments, and returns those that changed behind its results.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision.private_apis import portable_artifact
from official_vision.training.step.frozen_weights import name_of

# What runs on a device that XLA compiles for: another one would get operations of its kind.
_DEVICE = "/CPU:0"
# A variable's new value, which XLA copies: the same without an operation of a dialect that may change.
_COPY = re.compile(r"mhlo\.copy (%[\w#:]+) : (tensor<[^>]*>)")
_ALIAS = re.compile(r"parameter_number = (\d+) : i64}, output_index = array<i64: (\d+)>")
_MAIN = re.compile(r"func\.func @main\((.*?)\) -> (.*)")
_TENSOR = re.compile(r"tensor<([^>]*)>")
_DTYPES = {
    "f32": "float32",
    "bf16": "bfloat16",
    "f16": "float16",
    "i32": "int32",
    "i64": "int64",
    "ui8": "uint8",
    "ui32": "uint32",
    "ui64": "uint64",
    "i1": "bool",
}


@dataclasses.dataclass(frozen=True)
class Value:
    """An input or a result of a program.

    Attributes:
      name: of the argument, the result or the variable.
      shape: sizes of all axes.
      dtype: name, as numpy's and ml_dtypes'.
      role: of an input batch, seed, step (a count of steps), variable or constant; of a result step, variable, or
        its name, e.g. loss.
      feeds: of a result, the number of the input that it is in the next step; None where it feeds none.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    feeds: int | None = None


@dataclasses.dataclass(frozen=True)
class Program:
    """A function as XLA takes it.

    Attributes:
      artifact: StableHLO, in the portable form that later releases read.
      inputs: in order.
      results: in order.
      initial: the inputs' values, by number: those of the arguments that it was made of, and of variables.
    """

    artifact: bytes
    inputs: tuple[Value, ...]
    results: tuple[Value, ...]
    initial: tuple[np.ndarray, ...]


def to_program(
    function: Callable[[Any], Any],
    argument: Any,
    results: Sequence[str],
    variables: Sequence[tf.Variable] = (),
) -> Program:
    """Converts a function.

    Args:
      function: takes a structure of tensors, may change variables that exist, and returns a tensor or several.
      argument: an example of what it takes; shapes become fixed.
      results: names of what it returns, and their roles.
      variables: that it may change without reading them, as an optimizer's operations do with its state; a
        function's graph lists those that are read.

    Raises:
      RuntimeError: TensorFlow's conversion has another form than this function reads.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)
    with tf.device(_DEVICE):
        captures = _captures(compiled.get_concrete_function(argument), variables)
        text = compiled.experimental_get_compiler_ir(argument)(stage="stablehlo")
    arguments = [*zip(_names(argument), tf.nest.flatten(argument), strict=True)]
    initial = [tensor.numpy() for _, tensor in arguments] + [value for _, _, value in captures]
    roles = [(name, _role_of_argument(name)) for name, _ in arguments]
    roles += [(name, role) for name, role, _ in captures]
    inputs = tuple(
        Value(name, array.shape, array.dtype.name, role)
        for (name, role), array in zip(roles, initial, strict=True)
    )
    artifact = portable_artifact(_COPY.sub(r"stablehlo.reshape \1 : (\2) -> \2", text))
    return Program(artifact, inputs, _results(text, inputs, results), tuple(initial))


@contextlib.contextmanager
def products(precision: str) -> Iterator[None]:
    """Sets the precision that XLA's products of float32 are marked with: the highest, or the device's default."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(precision != "float32")
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def _captures(concrete: Any, variables: Sequence[tf.Variable]) -> list[tuple[str, str, np.ndarray]]:
    """Returns name, role and value of what a function reads besides its arguments, in XLA's order."""
    known = {id(each.handle): each for each in (*variables, *concrete.graph.variables)}
    captures = []
    for number, tensor in enumerate(concrete.captured_inputs):
        variable = known.get(id(tensor))
        if variable is None:
            captures.append((f"constant_{number}", "constant", tensor.numpy()))
        else:
            role = "step" if variable.dtype.is_integer else "variable"
            captures.append((name_of(variable), role, variable.numpy()))
    return captures


def _role_of_argument(name: str) -> str:
    return "seed" if name.endswith("dropout_seed") else "batch"


def _names(structure: Any, prefix: str = "") -> Iterator[str]:
    """Yields names of the parts of a structure, in the order of tf.nest."""
    if isinstance(structure, dict):
        for key in sorted(structure):
            yield from _names(structure[key], f"{prefix}{key}/")
    elif isinstance(structure, tuple):
        for number, part in enumerate(structure):
            yield from _names(
                part, f"{prefix}{number}/" if _is_pair_of_batches(structure) else prefix
            )
    else:
        yield prefix.removesuffix("/")


def _is_pair_of_batches(structure: tuple) -> bool:
    return all(isinstance(part, tuple) for part in structure)


def _results(text: str, inputs: Sequence[Value], names: Sequence[str]) -> tuple[Value, ...]:
    """Reads the results of a module's main function, and which of them is which variable's new value."""
    signature = _MAIN.search(text)
    if not signature:
        raise RuntimeError("XLA's module has no function main.")
    types = [_type_of(each) for each in _TENSOR.findall(signature[1])]
    if types != [(value.shape, value.dtype) for value in inputs]:
        raise RuntimeError("XLA's inputs are not the function's arguments and variables in order.")
    feeds = {int(output): int(parameter) for parameter, output in _ALIAS.findall(text)}
    results = []
    for number, (shape, dtype) in enumerate(map(_type_of, _TENSOR.findall(signature[2]))):
        if number < len(names):
            results.append(Value(names[number], shape, dtype, names[number]))
            continue
        if number not in feeds:  # every variable's new value takes the old one's memory
            raise RuntimeError(f"XLA's result {number} is no variable's new value.")
        variable = inputs[feeds[number]]
        results.append(Value(variable.name, shape, dtype, variable.role, feeds[number]))
    return tuple(results)


def _type_of(text: str) -> tuple[tuple[int, ...], str]:
    """Parses StableHLO's type, such as 2x16xf32."""
    *sizes, dtype = text.split("x")
    return tuple(map(int, sizes)), _DTYPES[dtype]
