"""Converts a network to TFLite files of one frame size: float32, float16, dynamic-range and full int8.

A file takes clips of one number of frames, or of several by a signature each, which share their weights.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from official_vision.errors import UserError, reason_of
from official_vision.modeling.inference.folding import for_tflite
from official_vision.modeling.network import AssembleNet
from official_vision.serving.export.converters.clip_function import (
    ClipFunction,
    clip_specs,
    frames_of,
    signature_names,
)
from official_vision.serving.export.held_out_clips import HeldOutClips

FORMATS = ("float32", "float16", "dynamic", "int8")
# Their results are values of their inputs as they were.
_MOVES = (
    *("QUANTIZE", "RESHAPE", "TRANSPOSE", "STRIDED_SLICE", "CONCATENATION", "PAD"),
    *("MAX_POOL_2D", "REDUCE_MAX"),
)


def convert(model: AssembleNet, format_name: str, *clips: HeldOutClips) -> bytes:
    """Converts a network for TFLite.

    Args:
      model: from serving.inference.
      format_name: one of FORMATS. float16 halves the weights, dynamic quantises them to 8 bits, int8
        computes in 8 bits throughout; inputs and outputs keep their dtypes.
      *clips: of each number of frames; their shape is the file's, and int8 takes the range of every tensor from
        them.

    Returns:
      The file's content, with the signatures that `signature_names` names.

    Raises:
      UserError: the converter can't express the network.
    """
    if format_name == "int8" and hasattr(model, "flow"):
        # The converter's calibration ends the process at a loop, without a word.
        raise UserError(
            "Full int8 has no place for the flow's loop. Received: ModelSpec.flow_source = 'computed'. "
            "Choose --tflite=dynamic, or train with stored flow."
        )
    with _converter(model, format_name, *clips) as converter:
        try:
            return converter.convert()
        except Exception as error:  # the converter's classes are not public
            reason = reason_of(error)
            raise UserError(
                f"The network must be expressible in TFLite. Received, for {format_name}: {reason}. "
                "Nothing was exported."
            ) from error


def with_kinds_in_float(
    model: AssembleNet, content: bytes, *clips: HeldOutClips
) -> Iterator[tuple[str, bytes]]:
    """Yields (kind of operation, int8 file that computes only that kind in floats): the cost of rounding.

    Args:
      model, *clips: as for `convert`.
      content: the int8 file, whose kinds are tried, the most frequent first.
    """
    debugging = tf.lite.experimental
    with _converter(model, "int8", *clips) as converter:
        # Calibrates once; each kind is then another conversion.
        debugger = debugging.QuantizationDebugger(converter=converter, debug_dataset=list)
        for kind in rounding_kinds(content):
            debugger.options = debugging.QuantizationDebugOptions(denylisted_ops=[kind])
            yield kind, debugger.get_nondebug_quantized_model()


def rounding_kinds(content: bytes) -> list[str]:
    """Returns the kinds of a file's operations that round to 8 bits, most frequent first."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    counts: collections.Counter[str] = collections.Counter()
    for graph in model.subgraphs:
        for operation in graph.operators:
            code = model.operatorCodes[operation.opcodeIndex]
            # Codes from 127 on lie in the newer of the two fields.
            kind = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
            output = graph.tensors[operation.outputs[0]]
            if output.type == schema.TensorType.INT8 and kind not in _MOVES:
                counts[kind] += 1
    return [kind for kind, _ in counts.most_common()]


@contextlib.contextmanager
def _converter(
    model: AssembleNet, format_name: str, *clips: HeldOutClips
) -> Iterator[tf.lite.TFLiteConverter]:
    names = signature_names([frames_of(each) for each in clips])
    by_signature = dict(zip(names.values(), clips, strict=True))
    with tempfile.TemporaryDirectory() as folder, _quiet():
        module = ClipFunction(for_tflite(model), clips[0])
        traced = {
            name: module.by_name.get_concrete_function(**{s.name: s for s in clip_specs(each)})
            for name, each in by_signature.items()
        }
        tf.saved_model.save(module, folder, signatures=traced)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[*traced])
        _configure(converter, format_name, by_signature)
        yield converter


def _configure(
    converter: tf.lite.TFLiteConverter, format_name: str, clips: Mapping[str, HeldOutClips]
) -> None:
    if format_name == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if format_name == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if format_name == "int8":
        converter.representative_dataset = lambda: _examples(clips)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]


def _examples(
    clips: Mapping[str, HeldOutClips],
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yields (signature, clip), as TensorFlow's calibration takes them."""
    for name, each in clips.items():
        for number in range(len(each)):
            yield name, each.clip(number)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the converter, which prints from C++, beside Python's streams."""
    logging.disable(logging.WARNING)
    saved = os.dup(2), os.dup(1)
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.dup2(nowhere.fileno(), 2)
            os.dup2(nowhere.fileno(), 1)
            yield
    finally:
        for descriptor, copy in zip((2, 1), saved, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)
        logging.disable(logging.NOTSET)
