"""Small ONNX files whose arithmetic is known, of the inputs and outputs that usual exports have."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.float32)
# Of the four colours in 0..1: rgb @ NEAREST_WEIGHTS + NEAREST_BIASES is greatest for the nearest.
NEAREST_WEIGHTS = 2 * COLOURS.T / 255
NEAREST_BIASES = -((COLOURS / 255) ** 2).sum(axis=1)


def write(path, nodes, inputs, outputs, constants=None, opset=17, **saved):
    """Writes a graph; inputs and outputs are (name, type, shape), constants arrays by name."""
    infos = [
        [helper.make_tensor_value_info(name, dtype, shape) for name, dtype, shape in values]
        for values in (inputs, outputs)
    ]
    initializers = [
        numpy_helper.from_array(np.asarray(v), name) for name, v in (constants or {}).items()
    ]
    graph = helper.make_graph(nodes, "graph", *infos, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, str(path), **saved)
    return path


def pixelwise(path, weights, biases, *, batch="batch", size=("height", "width"), **settings):
    """Scores rgb @ weights + biases [3, classes] of every pixel: NCHW, or NHWC with `nhwc`.

    With `pool` means of so many pixels are scored, as networks of a coarser output do.
    """
    classes, pool = len(biases), settings.get("pool", 1)
    name, output = settings.get("names", ("pixel_values", "logits"))
    saved = {
        k: v
        for k, v in settings.items()
        if k.startswith("save") or k in ("location", "size_threshold")
    }
    if settings.get("nhwc"):
        nodes = [
            helper.make_node("MatMul", [name, "weights"], ["scored"]),
            helper.make_node("Add", ["scored", "biases"], [output]),
        ]
        constants = {"weights": np.float32(weights), "biases": np.float32(biases)}
        shapes = [batch, *size, 3], [batch, *size, classes]
    else:
        nodes = [
            helper.make_node(
                "AveragePool", [name], ["pooled"], kernel_shape=[pool] * 2, strides=[pool] * 2
            ),
            helper.make_node("Conv", ["pooled", "weights", "biases"], [output]),
        ]
        kernel = np.float32(weights).T[..., np.newaxis, np.newaxis]
        constants = {"weights": np.ascontiguousarray(kernel), "biases": np.float32(biases)}
        shapes = [batch, 3, *size], [batch, classes, "h", "w"]
    float32 = TensorProto.FLOAT
    return write(
        path,
        nodes,
        [(name, float32, shapes[0])],
        [(output, float32, shapes[1])],
        constants,
        **saved,
    )


def by_brightness(path, outputs, *, shape=("batch", 3, "height", "width"), names=("images",)):
    """Gives start + slope * mean of the picture for each output name: (start, slope), arrays [1, ...].

    A second name adds DETR's mask of pixels, whose mean multiplies the picture's.
    """
    float32 = TensorProto.FLOAT
    nodes = [helper.make_node("ReduceMean", [names[0]], ["mean"], axes=[1, 2, 3], keepdims=0)]
    inputs, constants = [(names[0], float32, list(shape))], {}
    if len(names) > 1:
        inputs.append((names[1], TensorProto.INT64, [shape[0], 64, 64]))
        nodes += [
            helper.make_node("Cast", [names[1]], ["cast"], to=float32),
            helper.make_node("ReduceMean", ["cast"], ["share"], axes=[1, 2], keepdims=0),
            helper.make_node("Mul", ["mean", "share"], ["masked"]),
        ]
    declared, mean = [], nodes[-1].output[0]
    for name, (start, slope) in outputs.items():
        axes = list(range(1, np.ndim(start)))
        constants |= {
            f"{name} start": np.float32(start),
            f"{name} slope": np.float32(slope),
            f"{name} axes": np.int64(axes),
        }
        nodes += [
            helper.make_node("Unsqueeze", [mean, f"{name} axes"], [f"{name} mean"]),
            helper.make_node("Mul", [f"{name} mean", f"{name} slope"], [f"{name} moved"]),
            helper.make_node("Add", [f"{name} moved", f"{name} start"], [name]),
        ]
        declared.append((name, float32, [shape[0], *np.shape(start)[1:]]))
    return write(path, nodes, inputs, declared, constants)


def ids_of_red(path, divisor=32):
    """DeepLab's frozen graph: uint8 [1, height, width, 3] -> int64 [1, height, width], red // divisor."""
    nodes = [
        helper.make_node("Gather", ["ImageTensor:0", "red"], ["channel"], axis=3),
        helper.make_node("Cast", ["channel"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Div", ["whole", "divisor"], ["SemanticPredictions:0"]),
    ]
    return write(
        path,
        nodes,
        [("ImageTensor:0", TensorProto.UINT8, [1, "height", "width", 3])],
        [("SemanticPredictions:0", TensorProto.INT64, [1, "height", "width"])],
        {"red": np.int64(0), "divisor": np.int64(divisor)},
    )
