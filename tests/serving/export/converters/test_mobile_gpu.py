"""What a mobile GPU lacks of TFLite files: of small graphs with known operations, and of a whole network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from official_vision.modeling.execution import Execution
from official_vision.modeling.inference.inference_network import inference_network
from official_vision.modeling.inverted import InvertedBottleneck
from official_vision.serving.export.converters import tflite
from official_vision.serving.export.converters.mobile_gpu import report_of
from tests.modeling import small
from tests.serving.export.converters.test_tflite import WithFlow


def converted(function: Callable, *shape: int | None, dtype: tf.DType = tf.float32) -> bytes:
    concrete = tf.function(function).get_concrete_function(tf.TensorSpec(shape, dtype))
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()


def convolution(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(x, tf.ones([3, 3, x.shape[-1], 2]), 1, "SAME")


def test_bytes_at_the_inputs_do_not_cut_the_network() -> None:
    def network(x: tf.Tensor) -> tf.Tensor:
        return convolution(tf.cast(tf.reshape(x, [2, 4, 4, 3]), tf.float32))

    report = report_of(converted(network, 1, 2, 4, 4, 3, dtype=tf.uint8))
    assert report.at_the_inputs == {"CAST: uint8": 1, "RESHAPE: 5 axes": 1}
    assert (report.operations, report.in_between) == (3, {})


def test_what_a_gpu_lacks_behind_a_convolution_cuts_it() -> None:
    def network(x: tf.Tensor) -> tf.Tensor:
        best = tf.argmax(convolution(x), axis=-1, output_type=tf.int32)
        return convolution(tf.cast(best, tf.float32)[..., tf.newaxis])

    report = report_of(converted(network, 1, 4, 4, 3))
    assert report.at_the_inputs == {}
    assert report.in_between == {"ARG_MAX: no such operation": 1, "CAST: int32": 1}
    assert report.to_text() == (
        "a mobile GPU computes one stretch of it, for it lacks 1 ARG_MAX: no such operation, 1 CAST: int32"
    )


def test_each_signature_has_a_report(tmp_path: Path) -> None:
    """The second has a cast of whole numbers, which the first lacks."""
    specs = {
        "frames_2": tf.TensorSpec([2, 4, 4, 3]),
        "bytes": tf.TensorSpec([1, 4, 4, 3], tf.uint8),
    }
    module = tf.Module()
    module.convolve = tf.function(lambda x: convolution(tf.cast(x, tf.float32)))
    traced = {name: module.convolve.get_concrete_function(spec) for name, spec in specs.items()}
    tf.saved_model.save(module, str(tmp_path), signatures=traced)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path), signature_keys=[*specs])
    content = converter.convert()
    assert report_of(content, "frames_2").at_the_inputs == {}
    assert report_of(content, "bytes").at_the_inputs == {"CAST: uint8": 1}


def test_an_axis_without_a_size_is_refused() -> None:
    report = report_of(converted(convolution, None, 4, 4, 3))
    assert report.at_the_inputs == {"CONV_2D: an axis without a size": 1}


def test_a_dilated_convolution_of_three_axes_is_expressed_in_four_axes() -> None:
    module = InvertedBottleneck((3, 4, 5), 1, False, 2, execution=Execution("tflite"))
    module(tf.zeros([4, 6, 6, 5]), 4)
    report = report_of(converted(lambda x: module(x, 4), 4, 6, 6, 5))
    assert (report.at_the_inputs, report.in_between) == ({}, {})


@pytest.mark.slow
def test_a_float16_network_is_one_stretch_behind_its_inputs() -> None:
    network = inference_network(small.network(small.architecture(peers=True)), discrete=False)
    report = report_of(tflite.convert(network, "float16", WithFlow()))
    assert report.in_between == {}
    # Of 180 operations: one-hot maps of 4 x 4 pixels' ids, and what makes four axes of five.
    assert sum(report.at_the_inputs.values()) < 75
    assert not {"MUL: 5 axes", "SUB: 5 axes"} & set(report.at_the_inputs)
    assert "RESHAPE: 5 axes" in report.at_the_inputs
