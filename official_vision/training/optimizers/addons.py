"""tensorflow-addons' optimizers, loaded only when a gin file names one."""

from __future__ import annotations

import importlib
import inspect
import warnings
from typing import Any

import tf_keras

from official_vision.errors import UserError, nearest
from official_vision.private_apis import alias_keras_engine


def make_optimizer(name: str, settings: dict[str, Any]) -> tf_keras.optimizers.Optimizer:
    """Makes an optimizer of tensorflow-addons.

    Args:
      name: its class, e.g. LAMB.
      settings: wished constructor arguments; those that the class does not take are left out. Of
        them, learning_rate and momentum also make the SGD inside a class that wraps an optimizer
        (Lookahead, MovingAverage, SWA).

    Raises:
      UserError: the library is not installed, has no such optimizer, or one without weight decay is
        set for it.
    """
    optimizers = _load().optimizers
    known = {key for key, value in vars(optimizers).items() if inspect.isclass(value)}
    if name not in known:
        raise UserError(
            f"OptimizerSpec.name must be a class of tensorflow-addons after 'tfa:'. "
            f"Received: {name!r}. {nearest(name, known)}"
        )
    optimizer_class = getattr(optimizers, name)
    parameters = _parameters(optimizer_class)
    if settings.get("weight_decay") and "weight_decay" not in parameters:
        raise UserError(
            f"OptimizerSpec.decay = 'decoupled' needs an optimizer that takes weight_decay. "
            f"Received: 'tfa:{name}'. Choose tfa:AdamW, tfa:SGDW or tfa:LAMB, or decay = 'l2'."
        )
    taken = {key: value for key, value in settings.items() if key in parameters}
    if "optimizer" in parameters:
        sgd = tf_keras.optimizers.legacy.SGD(settings["learning_rate"], settings["momentum"])
        # The wrapper's rate is that of the optimizer inside.
        taken = {"optimizer": sgd}
    return optimizer_class(**taken)


def _parameters(optimizer_class: type) -> set[str]:
    """Returns what a constructor takes, by name or passed on to its bases as **kwargs."""
    names: set[str] = set()
    for base in optimizer_class.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters
        names.update(parameters)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return names


def _load() -> Any:
    try:
        alias_keras_engine()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its end-of-life notice
            return importlib.import_module("tensorflow_addons")
    except ImportError as error:
        raise UserError(
            "tensorflow-addons is needed for a 'tfa:' optimizer, and needs Python 3.11 or older. "
            f"Received: {error}. Name one of Model Garden's optimizers instead, e.g. lamb."
        ) from error
