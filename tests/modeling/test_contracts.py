"""The contract of every layer: eager and traced, both precisions, configuration, saving."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_vision import modeling
from official_vision.architecture.formats import to_json
from official_vision.architecture.graph import Architecture
from official_vision.modeling.ops.batch_norm import BatchNormalization
from official_vision.modeling.ops.convolution import SpatialConvolution
from official_vision.specs import Spec
from tests.modeling import twins
from tests.modeling.contracts import CONTRACTS, FRAMES, Contract

every_layer = pytest.mark.parametrize(
    "contract", CONTRACTS, ids=[contract.layer.__name__ for contract in CONTRACTS]
)


@pytest.fixture(params=["float32", "mixed_bfloat16"])
def policy(request: pytest.FixtureRequest):
    tf_keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    tf_keras.mixed_precision.set_global_policy("float32")


def tensors(contract: Contract) -> list[Any]:
    return tf.nest.map_structure(tf.constant, contract.inputs())


def call(contract: Contract, layer: tf_keras.layers.Layer, inputs: list[Any]) -> Any:
    return layer(*inputs, FRAMES) if contract.frames else layer(*inputs)


def made(contract: Contract) -> tf_keras.layers.Layer:
    """Built, with weights that are all in use."""
    layer = contract.layer(**contract.arguments(), name="mine")
    call(contract, layer, tensors(contract))
    twins.randomise(layer)
    return layer


def assert_close(actual: Any, expected: Any, rtol: float) -> None:
    tf.nest.assert_same_structure(actual, expected)
    for one, other in zip(tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True):
        one, other = np.asarray(tf.cast(one, tf.float32)), np.asarray(tf.cast(other, tf.float32))
        np.testing.assert_allclose(one, other, atol=rtol * np.abs(other).max())


BASES = {"Layer", "ResidualModule", "OneShotGate"}  # these are not built alone
# Keras's layer, whose arguments, numbers and files are Keras's; what we change of it, when its
# averages move, is tested in test_rematerialisation.py.
OF_KERAS = {BatchNormalization, SpatialConvolution}


def arguments_of(layer: type) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(layer.__init__).parameters
    return {
        name: parameter
        for name, parameter in parameters.items()
        # How a layer computes is no part of what it is: see `Execution`.
        if name not in ("self", "execution") and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def test_every_registered_layer_has_a_row() -> None:
    for module in pkgutil.iter_modules(modeling.__path__):
        importlib.import_module(f"{modeling.__name__}.{module.name}")
    registered = {
        layer
        for name, layer in tf_keras.saving.get_custom_objects().items()
        if name.startswith("official_vision>") and layer.__module__.startswith("official_vision.")
    }
    assert registered == {contract.layer for contract in CONTRACTS} | OF_KERAS


def test_every_public_layer_is_registered() -> None:
    for module in pkgutil.iter_modules(modeling.__path__):
        members = importlib.import_module(f"{modeling.__name__}.{module.name}")
        for name, member in vars(members).items():
            is_layer = inspect.isclass(member) and issubclass(member, tf_keras.layers.Layer)
            if is_layer and member.__module__ == members.__name__ and not name.startswith("_"):
                listed = {contract.layer for contract in CONTRACTS} | OF_KERAS
                assert name in BASES or member in listed


@every_layer
def test_rows_set_every_argument_away_from_its_default(contract: Contract) -> None:
    arguments, known = contract.arguments(), arguments_of(contract.layer)
    assert set(arguments) == set(known)
    for name, parameter in known.items():
        assert arguments[name] != parameter.default, name


def plain(value: Any) -> Any:
    """As `get_config` gives it."""
    if isinstance(value, tf_keras.layers.Layer):
        return plain(tf_keras.saving.serialize_keras_object(value))
    if isinstance(value, Architecture):
        return to_json(value)
    if isinstance(value, Spec):
        return value.to_dict()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@every_layer
def test_configuration_holds_every_argument(contract: Contract) -> None:
    arguments = contract.arguments()
    layer = contract.layer(**arguments, name="mine")
    config = layer.get_config()
    for name in arguments_of(contract.layer):
        assert plain(config[name]) == plain(arguments[name]), name
    again = contract.layer.from_config(config)
    assert plain(again.get_config()) == plain(config)


@every_layer
def test_eager_and_traced_agree(contract: Contract, policy: str) -> None:
    layer = made(contract)
    inputs = tensors(contract)
    eager = call(contract, layer, inputs)
    traced = tf.function(lambda x: call(contract, layer, x))(inputs)
    assert_close(traced, eager, 1e-5 if policy == "float32" else 3e-2)
    half = policy == "mixed_bfloat16" and not contract.float32_always
    dtypes = {tensor.dtype for tensor in tf.nest.flatten(eager)}
    assert dtypes == {tf.bfloat16 if half else tf.float32}
    assert all(variable.dtype == tf.float32 for variable in layer.variables)


@every_layer
def test_half_precision_is_near_full_precision(contract: Contract) -> None:
    inputs = tensors(contract)
    expected = call(contract, made(contract), inputs)
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        actual = call(contract, made(contract), inputs)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    assert_close(actual, expected, 0.15)


@every_layer
def test_saved_and_loaded_it_computes_the_same(contract: Contract, policy: str, tmp_path) -> None:
    layer = made(contract)
    inputs = tensors(contract)
    model = layer
    if not isinstance(layer, tf_keras.Model):
        symbols = tf.nest.map_structure(
            lambda tensor: tf_keras.Input(tensor.shape[1:], dtype=tensor.dtype), inputs
        )
        model = tf_keras.Model(tf.nest.flatten(symbols), call(contract, layer, symbols))
    features = inputs[0] if model is layer else tf.nest.flatten(inputs)
    expected = model(features)
    model.save(tmp_path / "model.keras")
    loaded = tf_keras.models.load_model(tmp_path / "model.keras")
    assert_close(loaded(features), expected, 1e-5 if policy == "float32" else 3e-2)
    assert len(loaded.weights) == len(model.weights) > 0 or not layer.weights
