"""tensorflow-addons' optimizers, loaded only when a gin file names one.

The library's last release (0.23) fails to import on this TensorFlow for one reason: it annotates a
type from keras.src.engine.keras_tensor, which lives in tf_keras now.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import warnings
from typing import Any

import tf_keras

from official_vision.errors import UserError, nearest


def make_optimizer(name: str, settings: dict[str, Any]) -> tf_keras.optimizers.Optimizer:
    """Makes an optimizer of tensorflow-addons.

    Args:
      name: its class, e.g. LAMB.
      settings: wished constructor arguments; those that the class does not take are left out.

    Raises:
      UserError: the library is not installed or has no such optimizer.
    """
    optimizers = _load().optimizers
    known = {key for key, value in vars(optimizers).items() if inspect.isclass(value)}
    if name not in known:
        raise UserError(
            f"OptimizerSpec.name must be a class of tensorflow-addons after 'tfa:'. "
            f"Received: {name!r}. {nearest(name, known)}"
        )
    optimizer_class = getattr(optimizers, name)
    parameters = inspect.signature(optimizer_class.__init__).parameters
    return optimizer_class(**{key: value for key, value in settings.items() if key in parameters})


def _load() -> Any:
    try:
        engine = importlib.import_module("tf_keras.src.engine.keras_tensor")
        sys.modules.setdefault("keras.src.engine.keras_tensor", engine)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its end-of-life notice
            return importlib.import_module("tensorflow_addons")
    except ImportError as error:
        raise UserError(
            "tensorflow-addons is needed for a 'tfa:' optimizer, and needs Python 3.11 or older. "
            f"Received: {error}. Name one of Model Garden's optimizers instead, e.g. lamb."
        ) from error
