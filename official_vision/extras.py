"""Packages that only some jobs need, and the extra of official-vision that installs each."""

from __future__ import annotations

import importlib

from official_vision.errors import UserError, reason_of

# Module -> extra of pyproject.toml.
EXTRA_OF = {
    "ai_edge_litert": "export",
    "apache_beam": "prepare",
    "av": "video",
    "cv2": "video",
    "gradio": "demo",
    "grpc": "serving",
    "h5py": "convert",
    "jax": "stablehlo",
    "mlflow": "mlflow",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "ray": "ray",
    "safetensors": "convert",
    "tensorflow_addons": "addons",
    "tensorflow_serving": "serving",
    "tf2onnx": "onnx",
    "wandb": "wandb",
}


# Part of the extras prepare, export, onnx, stablehlo, serving and demo.
_PART = "video"


def missing(error: ModuleNotFoundError, job: str = "") -> str:
    """Returns one line on which extra a missing package belongs to; empty for packages of no extra.

    Args:
      error: of the import.
      job: extra that has all the packages of what the user does; it is named in place of its part.
    """
    module = (error.name or "").split(".")[0]
    if module not in EXTRA_OF:
        return ""
    extra = EXTRA_OF[module]
    if extra == _PART and job:
        extra = job
    return (
        f"This needs the package {module}. Received: it is not installed. "
        f"Install it: pip install 'official-vision[{extra}]'."
    )


def check_jax() -> None:
    """Refuses a JAX that does not start, as with a jaxlib of another release, before the work.

    Raises:
      ModuleNotFoundError: JAX is missing.
      UserError: it is there and does not start.
    """
    try:
        importlib.import_module("jax")
    except Exception as error:  # of any class: what is wrong with an installation is not foreseen
        if isinstance(error, ModuleNotFoundError) and error.name == "jax":
            raise  # the extra is named
        raise UserError(
            f"--stablehlo needs a JAX that starts. Received: {reason_of(error)}. "
            "Install it anew: pip install 'official-vision[stablehlo]'."
        ) from error
