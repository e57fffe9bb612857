"""Reads tensors by name from files that run no code: .h5, .keras and .safetensors."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import safetensors

from official_vision.errors import UserError, reason_of

SUFFIXES = (".h5", ".hdf5", ".keras", ".safetensors")
_PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".pyth", ".tar")
_MOST_NUMBERS = 2**30  # 4 GiB of float32, ten times the largest network that is read
_KERAS_CONFIG, _KERAS_WEIGHTS = "config.json", "model.weights.h5"
# In a .keras file variables are numbered in the order of their making.
_KERAS_VARIABLES = {
    "Conv2D": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}


def refuse_pickled(path: str) -> None:
    """Refuses files that must be executed to be read.

    Raises:
      UserError: the name is that of a pickled file; the message has the conversion.
    """
    if Path(path).suffix.lower() in _PICKLED:
        raise UserError(
            "Weights must be in a file that runs nothing: .h5, .keras or .safetensors. "
            f"Received: {path}, which PyTorch pickled. Convert it where PyTorch is: safetensors.torch.save_file("
            "torch.load(PATH, weights_only=True), 'weights.safetensors')."
        )


def read_tensors(path: str) -> dict[str, np.ndarray]:
    """Reads all tensors of a file.

    Args:
      path: of a .h5 or .hdf5 file (a tf_keras model, or weights alone), .keras or .safetensors.

    Returns:
      Tensors by name: layer/variable of Keras's files, as they are in safetensors. Floating numbers are
      float32, whole numbers as they are.

    Raises:
      UserError: a pickled, damaged or foreign file, or weights that are not finite.
    """
    refuse_pickled(path)
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise _refused(path, f"whose name ends in {suffix or 'nothing'}")
    read = {".keras": _keras, ".safetensors": _safetensors}.get(suffix, _h5_path)
    try:
        tensors = _each_once(read(path))
    except UserError:
        raise
    # h5py and safetensors raise many kinds of error on damaged files.
    except Exception as error:
        flaw = reason_of(error, 150)
        raise _refused(path, f"which cannot be read ({flaw})") from error
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise _refused(path, f"in which {name[:80]!r} has numbers that are not finite")
    return tensors


def _each_once(pairs: Iterable[tuple[str, np.ndarray]]) -> dict[str, np.ndarray]:
    tensors: dict[str, np.ndarray] = {}
    for name, tensor in pairs:
        if name in tensors:
            raise ValueError(f"two tensors are named {name[:80]}")
        tensors[name] = tensor
    return tensors


def names_in(path: str) -> tuple[str, ...]:
    """Returns the names of a .safetensors file's tensors; none for any other file. Never raises."""
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return tuple(file.keys())
    except Exception:  # of many kinds; the file's fault is reported when it is read
        return ()


def _refused(path: str, flaw: str) -> UserError:
    return UserError(
        "--checkpoint must be a whole .h5, .keras or .safetensors file of weights. "
        f"Received: {path}, {flaw}. Fetch it again, or name another."
    )


def _safetensors(path: str) -> Iterator[tuple[str, np.ndarray]]:
    with safetensors.safe_open(path, framework="np") as file:
        names = file.keys()
        for name in names:
            yield name, _as_float32(file.get_tensor(name))


def _h5_path(path: str) -> Iterator[tuple[str, np.ndarray]]:
    with h5py.File(path, "r") as file:
        stored = dict(_datasets(file))
        if any(re.search(r"(^|/)vars/\d+$", name) for name in stored):
            raise _refused(
                path,
                "a .weights.h5 whose variables have numbers; save the model as .keras, or its weights as .h5",
            )
        for name, tensor in stored.items():
            # model_weights/LAYER/LAYER/kernel:0, and a model within a model is one group more.
            parts = name.split(":")[0].split("/")
            is_training = parts[0] == "optimizer_weights"
            yield name if is_training else "/".join(parts[-2:]), tensor


def _datasets(file: h5py.File) -> Iterator[tuple[str, np.ndarray]]:
    """Yields every tensor of floating numbers; links to other files are not followed."""
    datasets: list[tuple[str, h5py.Dataset]] = []
    file.visititems(
        lambda name, item: datasets.append((name, item)) if isinstance(item, h5py.Dataset) else None
    )
    datasets = [(name, data) for name, data in datasets if data.dtype.kind == "f"]
    if sum(data.size for _, data in datasets) > _MOST_NUMBERS:
        raise ValueError(f"more than {_MOST_NUMBERS} numbers")
    for name, data in datasets:
        if data.external or data.is_virtual:
            raise ValueError(f"{name} lies in another file")
        yield name, _as_float32(data[()])


def _as_float32(tensor: np.ndarray) -> np.ndarray:
    # bfloat16 is of no kind that NumPy knows.
    is_whole = tensor.dtype.kind in "iub"
    return tensor if is_whole else tensor.astype(np.float32)


def _keras(path: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yields variables, stored by their layer's number among those of its class, in the model's order."""
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(_KERAS_WEIGHTS).file_size > 4 * _MOST_NUMBERS:
            raise ValueError(f"more than {_MOST_NUMBERS} numbers")
        config = json.loads(archive.read(_KERAS_CONFIG))
        weights = io.BytesIO(archive.read(_KERAS_WEIGHTS))
    with h5py.File(weights, "r") as file:
        stored = dict(_datasets(file))
    layers = _stored_layers(config["config"]["layers"])
    for key, tensor in stored.items():
        match = re.fullmatch(r"(layers/.+)/vars/(\d+)", key)
        name, variables = layers.get(match[1], (key, ())) if match else (key, ())
        number = int(match[2]) if match else 0
        yield f"{name}/{variables[number]}" if number < len(variables) else key, tensor


def _stored_layers(layers: list[Any], within: str = "") -> dict[str, tuple[str, tuple[str, ...]]]:
    """Returns a layer's name and the names of its variables, by its key in the file (by class, or by its name)."""
    seen: Counter[str] = Counter()
    keys = {}
    for layer in layers:
        kind, name = layer["class_name"], layer["config"]["name"]
        snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", kind))
        number, snake = seen[kind], snake.lower()
        seen[kind] += 1
        key = f"{within}layers/{snake}_{number}" if number else f"{within}layers/{snake}"
        if kind in _KERAS_VARIABLES:
            keys[key] = (name, _KERAS_VARIABLES[kind])
            keys.setdefault(f"{within}layers/{name}", keys[key])
        # A model within the model.
        keys |= _stored_layers(layer["config"].get("layers", []), f"{key}/")
    return keys
