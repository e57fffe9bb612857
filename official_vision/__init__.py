"""AssembleNet++ for video recognition: architectures, layers, data, training, search and serving.

`import official_vision as ov` loads nothing but this file: each name below is imported when it is first used.

    model = ov.build_model("assemblenet_plus_plus_50", num_classes=157)
    run = ov.load_run("runs/charades")
    prediction = ov.Predictor("exported")("video.mp4")
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from official_vision.errors import UserError

if TYPE_CHECKING:
    from official_vision import layers
    from official_vision.api.features import extract_features
    from official_vision.api.networks import (
        architectures,
        build_model,
        draw,
        estimate_cost,
        load_architecture,
    )
    from official_vision.api.prediction import Predictor
    from official_vision.api.runs import evaluate, export, load_config, load_run, train
    from official_vision.specs import (
        ConnectivitySpec,
        DataSpec,
        EvaluationSpec,
        EvolutionSpec,
        LossSpec,
        ModelSpec,
        OptimizerSpec,
        PrepareSpec,
        SearchSpec,
        TrainSpec,
    )

__version__ = "0.1.0"

__all__ = [
    "ConnectivitySpec",
    "DataSpec",
    "EvaluationSpec",
    "EvolutionSpec",
    "LossSpec",
    "ModelSpec",
    "OptimizerSpec",
    "Predictor",
    "PrepareSpec",
    "SearchSpec",
    "TrainSpec",
    "UserError",
    "architectures",
    "build_model",
    "draw",
    "estimate_cost",
    "evaluate",
    "export",
    "extract_features",
    "layers",
    "load_architecture",
    "load_config",
    "load_run",
    "train",
]

# Module -> what it gives the package. test_public_names.py compares it with the imports for type checkers.
_MODULES = {
    "api.networks": ("architectures", "build_model", "draw", "estimate_cost", "load_architecture"),
    "api.runs": ("evaluate", "export", "load_config", "load_run", "train"),
    "api.prediction": ("Predictor",),
    "api.features": ("extract_features",),
    "specs": tuple(name for name in __all__ if name.endswith("Spec")),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used."""
    if name == "layers":
        return importlib.import_module(f"{__name__}.layers")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    except ModuleNotFoundError as error:
        from official_vision.extras import missing

        if not (line := missing(error)):
            raise
        raise UserError(line) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _choose_keras() -> None:
    """Has `tf.keras` be tf_keras, which Model Garden is built on; TensorFlow decides when it is first used."""
    setting = os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    # Once used, the loader that TensorFlow puts there is replaced by the module that it chose.
    keras = vars(sys.modules.get("tensorflow", object)).get("keras", object)
    is_keras_3 = str(vars(keras).get("__name__", "")).startswith("keras.")
    if is_keras_3 or setting.lower() not in ("1", "true"):
        reason = "Keras 3, used already" if is_keras_3 else f"TF_USE_LEGACY_KERAS={setting}"
        raise UserError(
            f"tf.keras must be tf_keras: layers of Keras 3 don't fit its networks. Received: {reason}. Import "
            "official_vision before tf.keras is used, or set TF_USE_LEGACY_KERAS=1 before Python starts."
        )


_choose_keras()
