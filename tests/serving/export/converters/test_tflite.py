"""TFLite's 8-bit kernels on parts of a network, and the kinds of operations that round."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from official_vision.modeling.execution import PLAIN, Execution
from official_vision.modeling.inference.inference_network import inference_network
from official_vision.modeling.ops.elementwise import sum_of
from official_vision.modeling.stems import ObjectStem
from official_vision.serving.export.converters import tflite
from official_vision.serving.export.held_out_clips import network_scores
from tests.modeling import small
from tests.modeling.inference.test_inference_network import Clips

CLASSES = 7
TFLITE = Execution("tflite")


def quantised(function: tf.types.experimental.GenericFunction, examples: list) -> Interpreter:
    """The function in full int8."""
    concrete = function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([example] for example in examples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return Interpreter(model_content=converter.convert())


def test_object_maps_are_exact_in_int8() -> None:
    """Each class weighs another power of 2; one-hot maps of 8-bit floats were 0.5 where 1 belongs."""
    stem = ObjectStem(CLASSES, execution=TFLITE)
    kernel = tf.constant(2.0 ** -np.arange(CLASSES), tf.float32)[:, tf.newaxis]

    @tf.function(input_signature=[tf.TensorSpec([1, 8, 8], tf.uint8)])
    def weigh(ids: tf.Tensor) -> tf.Tensor:
        return tf.matmul(tf.reshape(stem(ids), [-1, CLASSES]), kernel)

    generator = np.random.default_rng(0)
    examples = [generator.integers(0, 9, (1, 8, 8)).astype(np.uint8) for _ in range(8)]
    examples.append(np.zeros((1, 8, 8), np.uint8))
    interpreter = quantised(weigh, examples)
    interpreter.allocate_tensors()
    for ids in examples:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], ids)
        interpreter.invoke()
        actual = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        # Two steps of 8 bits over 0 .. 2.
        np.testing.assert_allclose(actual, weigh(ids), atol=2 * 2 / 255)


def worst_sum_in_int8(execution: Execution) -> float:
    """Greatest error, in steps of the result, of a sum that is narrower than what is added."""
    generator = np.random.default_rng(0)
    parts = [generator.uniform(0, 10, (16, 8)).astype(np.float32)]
    parts += [(0.5 - parts[0]) * 0.5, (0.5 - parts[0]) * 0.4]

    @tf.function(input_signature=[tf.TensorSpec([3, 16, 8])])
    def add(x: tf.Tensor) -> tf.Tensor:
        return sum_of(tf.unstack(tf.nn.relu(x) - tf.nn.relu(-x)), execution)

    interpreter = quantised(add, [np.stack(parts)])
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.stack(parts))
    interpreter.invoke()
    actual = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return np.abs(actual - sum(parts)).max() / (np.ptp(sum(parts)) / 255)


def test_sums_in_pairs_keep_the_range_of_what_is_added() -> None:
    """A step of a part is ten of the result; ADD_N would clip the parts to the result's range."""
    assert worst_sum_in_int8(TFLITE) < 3 * 10
    assert worst_sum_in_int8(PLAIN) > 100


@pytest.mark.slow
def test_a_kind_in_floats_rounds_less() -> None:
    network = inference_network(small.network(small.architecture(peers=True)), discrete=False)
    clips = WithFlow()
    expected = network_scores(network, clips)["scores"]
    content = tflite.convert(network, "int8", clips)
    kinds = tflite.rounding_kinds(content)
    assert {"CONV_2D", "MUL", "FULLY_CONNECTED", "MEAN"} <= set(kinds)
    assert not {"ONE_HOT", "QUANTIZE", "RESHAPE"} & set(kinds)
    assert tflite.rounding_kinds(tflite.convert(network, "float32", clips)) == []
    partly = dict(tflite.with_kinds_in_float(network, content, clips))
    assert list(partly) == kinds
    for kind, partial in partly.items():
        assert kind not in tflite.rounding_kinds(partial)
    left = {
        kind: np.abs(scores(partial, clips) - expected).mean() for kind, partial in partly.items()
    }
    assert left["CONV_2D"] < 0.8 * np.abs(scores(content, clips) - expected).mean()


class WithFlow(Clips):
    """Clips of all streams; of fewer, the rounding of the scores themselves would hide the rest."""

    def __len__(self) -> int:
        return 8

    def clip(self, number: int) -> dict[str, np.ndarray]:
        flow = np.random.default_rng(number).normal(0, 2, (1, 4, 24, 24, 2)).astype(np.float32)
        return super().clip(number) | {"flow": flow}


def scores(content: bytes, clips: Clips) -> np.ndarray:
    runner = Interpreter(model_content=content).get_signature_runner()
    return np.concatenate([runner(**clips.clip(number))["scores"] for number in range(len(clips))])
