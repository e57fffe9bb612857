"""ONNX files: a network of one clip size and any batch, and how such a file is run."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from official_vision.errors import UserError, reason_of
from official_vision.modeling.inference.folding import for_tflite
from official_vision.modeling.network import AssembleNet
from official_vision.serving.export.converters.clip_function import ClipFunction
from official_vision.serving.export.held_out_clips import HeldOutClips

ONNX_FILE = "model.onnx"
OPSET = 17  # of 2022: every runtime since has it
_BATCH = "batch"  # the name of the free axis


def convert(model: AssembleNet, clips: HeldOutClips) -> bytes:
    """Converts a network to ONNX, float32.

    Args:
      model: from serving.inference; its plain form, of two-dimensional convolutions, is converted.
      clips: their streams, frames and size are the file's; the batch is free.

    Returns:
      The file's content: inputs by the names of streams, outputs scores [batch, classes] and
      frame_scores [batch, time, classes].

    Raises:
      UserError: the converter can't express the network.
    """
    # Imported here: an extra.
    import tf2onnx

    function = ClipFunction(for_tflite(model), clips, batch=None)
    with _quiet():
        try:
            proto, _ = tf2onnx.convert.from_function(
                function.of_arguments,
                input_signature=function.specs,
                opset=OPSET,
                custom_op_handlers={"OneHot": (_one_hot, [])},
            )
        except Exception as error:  # of any class, by the operation
            reason = reason_of(error)
            raise UserError(
                f"The network must be expressible in ONNX. Received: {reason}. Nothing was exported."
            ) from error
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = _BATCH
    return proto.SerializeToString()


def load(path: str | os.PathLike) -> tuple[Any, dict[str, tuple[int, ...]]]:
    """Loads an ONNX file.

    Returns:
      A function of streams by name, a batch of clips each, which returns scores and frame_scores; the shape
      of each stream, batch included (as 0).

    Raises:
      ValueError: the file is damaged.
    """
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(
            os.fspath(path), providers=onnxruntime.get_available_providers()
        )
    except Exception as error:  # onnxruntime's classes are not public
        raise ValueError(str(error)) from error
    names = [output.name for output in session.get_outputs()]

    def run(streams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(None, dict(streams)), strict=True))

    shapes = {
        value.name: tuple(axis if isinstance(axis, int) else 0 for axis in value.shape)
        for value in session.get_inputs()
    }
    return run, shapes


def _one_hot(context: Any, node: Any, name: str, _arguments: Any) -> None:
    """Writes one_hot as a comparison with each class; tf2onnx has it for vectors of ids alone.

    Args:
      context: tf2onnx's graph.
      node: the operation.
      name: of the operation.
    """
    from tf2onnx import utils

    depth = int(node.inputs[1].get_tensor_value())
    dtype, shape = context.get_dtype(node.output[0]), context.get_shape(node.output[0])
    ids_dtype = utils.map_onnx_to_numpy_type(context.get_dtype(node.input[0]))
    last = context.make_const(f"{name}/axis", np.array([-1], np.int64))
    classes = context.make_const(f"{name}/classes", np.arange(depth, dtype=ids_dtype))
    ids = context.make_node("Unsqueeze", [node.input[0], last.output[0]])
    equal = context.make_node("Equal", [ids.output[0], classes.output[0]])
    (output,) = node.output
    context.remove_node(node.name)
    context.make_node(
        "Cast",
        equal.output,
        {"to": dtype},
        outputs=[output],
        name=name,
        shapes=[shape],
        dtypes=[dtype],
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
