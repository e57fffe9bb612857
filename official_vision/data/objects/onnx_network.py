"""Networks of object ids in ONNX files, run by onnxruntime."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from official_vision import files
from official_vision.data.objects.network_input import NetworkInput
from official_vision.errors import UserError, reason_of
from official_vision.specs import PrepareSpec

if TYPE_CHECKING:
    import onnx
    import onnxruntime

_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
# Older exports of DETR have it beside the image: 1 where a pixel is the image's.
_PIXEL_MASK = "pixel_mask"
# In onnxruntime's messages about operators that it lacks.
_OPERATOR_WORDS = ("NOT_IMPLEMENTED", "is not a registered function/op", "No Op registered")
_FATAL_ONLY = 4
Runner = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def load_onnx(path: str, spec: PrepareSpec) -> tuple[Runner, NetworkInput]:
    """Loads a network.

    Args:
      path: of the file.
      spec: what the file leaves open: the order of axes and the input's size.

    Returns:
      A function from the input to the outputs by name, and what the input is.

    Raises:
      UserError: it is no ONNX file that onnxruntime runs, or doesn't take pictures alone.
      ModuleNotFoundError: onnxruntime is not installed.
    """
    import onnxruntime

    if not Path(path).is_file():
        raise ValueError("there is no such file")
    options = onnxruntime.SessionOptions()
    # The decoding processes share the cores among themselves.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    available = onnxruntime.get_available_providers()
    providers = [provider for provider in _PROVIDERS if provider in available]
    # A second try on the same processor would only print that there is one.
    fallback = {"enable_fallback": int(len(providers) > 1)}
    try:
        session = onnxruntime.InferenceSession(path, options, providers=providers, **fallback)
    except Exception as error:  # onnxruntime's classes are not public
        reason = reason_of(error)
        remedy = "Name an ONNX file."
        if any(word in str(error) for word in _OPERATOR_WORDS):
            remedy = "Export it with standard operators of opset 17 or so."
        raise UserError(
            f"PrepareSpec.objects must name an ONNX file that onnxruntime runs. Received: {path} ({reason}). {remedy}"
        ) from error
    picture, mask = _inputs(session, path)
    network_input = _network_input(picture, path, spec)
    names = [output.name for output in session.get_outputs()]

    def run(pixels: np.ndarray) -> Mapping[str, np.ndarray]:
        fed = {picture.name: pixels}
        if mask is not None:
            fed[_PIXEL_MASK] = _ones(mask, pixels, network_input)
        try:
            return dict(zip(names, session.run(names, fed), strict=True))
        except Exception as error:
            raise UserError(
                f"A network must run on frames of the stored size. Received: {path}, fed {pixels.shape} "
                f"({reason_of(error)}). Set PrepareSpec.object_input_size, or PrepareSpec.object_batch = 1."
            ) from error

    return run, network_input


def onnx_sha256(path: str) -> str:
    """Returns the SHA-256 of an ONNX file, and of the files beside it that hold its weights, if any.

    Raises:
      UserError: a file of weights is missing or lies in another folder.
    """
    import onnx

    whole = hashlib.sha256(files.sha256(path).encode())
    folder = Path(path).parent
    places = sorted(set(_weight_files(onnx.load(path, load_external_data=False).graph)))
    for place in places:
        beside = folder / place
        if not beside.is_file() or not beside.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"An ONNX file's weights must lie beside it. Received: {path}, whose weights are in {place!r}. "
                "Copy them there."
            )
        whole.update(files.sha256(beside).encode())
    return whole.hexdigest() if places else files.sha256(path)


def _weight_files(graph: onnx.GraphProto) -> Iterator[str]:
    """Yields the names of files that hold weights of a graph or of those within it."""
    tensors = [*graph.initializer]
    for node in graph.node:
        for attribute in node.attribute:
            tensors += [attribute.t, *attribute.tensors]
            for inner in (attribute.g, *attribute.graphs):
                yield from _weight_files(inner)
    for tensor in tensors:
        yield from (entry.value for entry in tensor.external_data if entry.key == "location")


def _inputs(
    session: onnxruntime.InferenceSession, path: str
) -> tuple[onnxruntime.NodeArg, onnxruntime.NodeArg | None]:
    """Returns the picture's input, and that of a mask of pixels where there is one."""
    inputs = session.get_inputs()
    masks = [item for item in inputs if item.name == _PIXEL_MASK and len(item.shape) == 3]
    pictures = [item for item in inputs if item not in masks]
    if len(pictures) != 1 or len(pictures[0].shape) != 4 or pictures[0].type not in _DTYPES:
        received = ", ".join(f"{item.name} {item.type} {item.shape}" for item in inputs)
        raise UserError(
            "A network of object ids takes one input, pictures of four axes as floats or uint8. "
            f"Received: {path}, which takes {received or 'none'}. Export it with the picture as its only input."
        )
    return pictures[0], masks[0] if masks else None


def _network_input(picture: onnxruntime.NodeArg, path: str, spec: PrepareSpec) -> NetworkInput:
    sizes = [size if isinstance(size, int) and size > 0 else None for size in picture.shape]
    has_three = {"nchw": sizes[1] == 3, "nhwc": sizes[3] == 3}
    layouts = (
        [spec.object_layout]
        if spec.object_layout != "auto"
        else [k for k in has_three if has_three[k]]
    )
    if len(layouts) != 1 or sizes[1 if layouts == ["nchw"] else 3] not in (3, None):
        raise UserError(
            "The order of a network's axes must be known: one of them has 3 channels. "
            f"Received: {path}, which takes {picture.shape}, of PrepareSpec.object_layout = {spec.object_layout!r}. "
            "Set it to 'nchw' or 'nhwc'."
        )
    channels_first = layouts == ["nchw"]
    height, width = sizes[2:] if channels_first else sizes[1:3]
    side = spec.object_input_size
    if side is not None and any(size not in (side, None) for size in (height, width)):
        raise UserError(
            f"PrepareSpec.object_input_size must be that of the network, {width} x {height}. Received: {side}. "
            "Set it to that, or to None."
        )
    return NetworkInput(np.dtype(_DTYPES[picture.type]), channels_first, height, width, sizes[0])


def _ones(mask: onnxruntime.NodeArg, pixels: np.ndarray, network_input: NetworkInput) -> np.ndarray:
    size = pixels.shape[2:] if network_input.channels_first else pixels.shape[1:3]
    shape = [
        declared if isinstance(declared, int) and declared > 0 else actual
        for declared, actual in zip(mask.shape[1:], size, strict=True)
    ]
    dtype = {"tensor(bool)": bool, "tensor(float)": np.float32}.get(mask.type, np.int64)
    return np.ones((len(pixels), *shape), dtype)
