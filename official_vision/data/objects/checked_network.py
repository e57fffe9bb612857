"""A network of object ids is tried before any video; its fingerprint goes with the shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from official_vision import files
from official_vision.data.objects.class_lists import class_names
from official_vision.data.objects.onnx_network import onnx_sha256
from official_vision.data.objects.segmentation import network
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec

_GREY = 127


def network_sha256(spec: PrepareSpec, on_step: Callable[[], None] = lambda: None) -> str:
    """Runs the network on grey frames of the stored size, and returns the hash of its file or folder.

    To be called in a process that may crash: a hostile file can end it.

    Args:
      spec: names the network and its settings.
      on_step: is called after each step.

    Raises:
      UserError: the network can't be loaded, doesn't run, or gives what the settings don't name.
    """
    try:
        return _tried(spec, on_step)
    except (UserError, ModuleNotFoundError):
        raise
    except Exception as error:  # whatever a file's own code raises, in words
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"A network of object ids must run. Received: {spec.objects} ({type(error).__name__}: {reason}). "
            "Export it again."
        ) from error


def _tried(spec: PrepareSpec, on_step: Callable[[], None]) -> str:
    kind, _, path = spec.objects.partition(":")
    loaded = network(spec)
    on_step()
    frame = np.full((spec.short_side, spec.short_side, 3), _GREY, np.uint8)
    loaded.many([frame, frame])
    on_step()
    _check_names(loaded.class_count(frame), spec)
    if kind == "onnx":
        return onnx_sha256(path)
    return files.sha256(path) if Path(path).is_file() else files.sha256_of_folder(path)


def _check_names(classes: int | None, spec: PrepareSpec) -> None:
    names = class_names(spec.object_classes)
    if classes is not None and names and len(names) != classes + spec.object_id_offset:
        raise UserError(
            f"PrepareSpec.object_classes must name every stored id. Received: {len(names)} names in "
            f"{spec.object_classes!r} for a network of {classes} classes with PrepareSpec.object_id_offset = "
            f"{spec.object_id_offset}. Name the list that belongs to the network."
        )
