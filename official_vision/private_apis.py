"""Every private name of TensorFlow, Keras, Model Garden, Orbit and gin that this package uses.

No other module may use one (tests/repository/test_private_names.py). Each function documents its need and why no
public name does it; tests/test_private_apis.py fails where an upgrade takes it away. Libraries are imported inside
the functions: modules that load no TensorFlow import this one.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def gin_reads_with(
    gin_config: ModuleType,
    reader: tuple[Callable[[str], Any], Callable[[str], bool]],
    folders: Sequence[str],
) -> Iterator[None]:
    """Lets gin search more folders and open files by another function, for the time of a `with` statement.

    gin's public functions add folders and readers permanently, and put readers behind the built-in one, which
    opens any file that exists.

    Args:
      gin_config: the module gin.config.
      reader: a function that opens a path, and one that says whether a path can be opened.
      folders: searched after the working directory.
    """
    searched, readers = list(gin_config._LOCATION_PREFIXES), list(gin_config._FILE_READERS)
    gin_config._LOCATION_PREFIXES[:] = [*searched, *folders]
    gin_config._FILE_READERS[:] = [reader]
    try:
        yield
    finally:
        gin_config._LOCATION_PREFIXES[:] = searched
        gin_config._FILE_READERS[:] = readers


def track(parent: Any, child: Any, name: str) -> None:
    """Makes `child` a part of `parent` in checkpoints, under `name`.

    Keras's legacy optimizers track no attributes, and its models would count a variable among their weights.

    Args:
      parent: a Keras model or optimizer.
      child: a variable or an optimizer.
      name: of the child within the parent's part of a checkpoint's keys.
    """
    parent._track_trackable(child, name)


def create_slots(optimizer: Any, variables: Sequence[Any]) -> None:
    """Creates all variables that an optimizer keeps for `variables`, without a step.

    The legacy optimizers' only public way is a step, which would count; newer ones have `build`.

    Args:
      optimizer: of tf_keras.optimizers.legacy.
      variables: that it will update.
    """
    optimizer._create_all_weights(variables)


def determinism_switch() -> tuple[Callable[[], None], Callable[[], None], Callable[[], bool]]:
    """Returns functions that turn TensorFlow's deterministic operations on, off, and report whether they are.

    The public function turns them on for all of a process, where runs that are to be fast may follow.
    """
    config = importlib.import_module("tensorflow.python.framework.config")
    return (
        config.enable_op_determinism,
        config.disable_op_determinism,
        config.is_op_determinism_enabled,
    )


class MovingAverageHook:
    """A base in front of Keras's BatchNormalization whose moving statistics a method `update_average` updates.

    Synchronised batch norm, and that of inputs without height and width, compute a batch's statistics inside Keras's
    `call`, which offers no public way to set how they are averaged. The method takes the moving statistic and the
    batch's, both float32 [channels], the layer's momentum, and the batch's rows where a replica may have got none
    (else None); it returns what the assignment returns.
    """

    def _assign_moving_average(
        self, variable: Any, value: Any, momentum: float, inputs_size: Any | None
    ) -> Any:
        return self.update_average(variable, value, momentum, inputs_size)


def device_memory(device_type: str) -> list[int]:
    """Returns the bytes that TensorFlow may allocate on each device of a type, e.g. GPU.

    tf.config reports allocated memory, not the total.
    """
    devices = importlib.import_module("tensorflow.python.client.device_lib").list_local_devices()
    return [device.memory_limit for device in devices if device.device_type == device_type]


def object_graph_of(serialized: bytes) -> Any:
    """Parses the object graph of a checkpoint, which public readers return as bytes only.

    Args:
      serialized: the value that a checkpoint has under _CHECKPOINTABLE_OBJECT_GRAPH.

    Returns:
      A TrackableObjectGraph message.

    Raises:
      Exception: of protobuf, where the bytes are no such message.
    """
    messages = importlib.import_module("tensorflow.core.protobuf.trackable_object_graph_pb2")
    return messages.TrackableObjectGraph.FromString(serialized)


def alias_keras_engine() -> None:
    """Makes tf_keras's engine importable as Keras 2's.

    tensorflow-addons 0.23 imports keras.src.engine.keras_tensor for an annotation; Keras 3 has no such module.

    Raises:
      ImportError: tf_keras has none either.
    """
    for module in ("engine", "engine.keras_tensor"):
        moved = importlib.import_module(f"tf_keras.src.{module}")
        sys.modules.setdefault(f"keras.src.{module}", moved)
