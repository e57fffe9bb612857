"""Growth of cost with a clip's length or size, the batch or the width: times, and their exponent."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from official_vision.config import Config
from official_vision.errors import UserError
from official_vision.presentation.pictures import save_png

_OF_DATA = {"frames": "frames", "size": "size", "batch": "batch_size"}
_WIDTH = "width"
WORKERS = "workers"
_NAMES = (*_OF_DATA, _WIDTH, WORKERS)


def parsed(text: str) -> tuple[str, list[float]]:
    """Returns the name of the setting that grows, and its values.

    Args:
      text: NAME=VALUE,VALUE,...: frames, size, batch, width (of ModelSpec.width_multiplier), or workers.

    Raises:
      UserError: another name, fewer than two values, or what are no such numbers.
    """
    name, _, values = text.partition("=")
    try:
        numbers = [float(v) if name == _WIDTH else int(v) for v in values.split(",")]
    except ValueError:
        numbers = []
    if name not in _NAMES or len({*numbers}) < 2:
        raise UserError(
            f"--grow is NAME=VALUE,VALUE,... of {', '.join(_NAMES)}. Received: {text!r}. "
            "Write for instance --grow=frames=8,16,32."
        )
    return name, numbers


def grown(config: Config, name: str, numbers: Sequence[float]) -> dict[str, Config]:
    """Returns the settings with one of them changed, by name.

    Args:
      config: every setting.
      name, numbers: of `parsed`; not workers, which are no setting of the network.
    """
    return {f"{name} {number:g}": _with(config, name, number) for number in numbers}


def _with(config: Config, name: str, number: float) -> Config:
    if name == _WIDTH:
        model = dataclasses.replace(config.model, width_multiplier=number)
        return dataclasses.replace(config, model=model)
    changes = {_OF_DATA[name]: number}
    return dataclasses.replace(
        config,
        train_data=dataclasses.replace(config.train_data, **changes),
        validation_data=dataclasses.replace(config.validation_data, **changes),
    )


def exponents(result: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Fits value ** exponent, in the logarithm, to times and to arithmetic.

    Args:
      result: of benchmark/network_speed.py, whose rows are named "NAME VALUE".

    Returns:
      By precision: seconds and gflop, the two exponents.
    """
    fitted = {}
    for precision in result["gemm_gflops"]:
        rows = [row for row in result["rows"] if row["precision"] == precision]
        values = np.log([float(row["name"].split()[1]) for row in rows])
        fitted[precision] = {
            "seconds": _slope(values, [row["seconds"]["median"] for row in rows]),
            "gflop": _slope(values, [row["gflop"] for row in rows]),
        }
    return fitted


def _slope(logarithms: np.ndarray, figures: list[float]) -> float:
    return float(np.polyfit(logarithms, np.log(figures), 1)[0])


def growth_text(result: Mapping[str, Any]) -> str:
    """Returns one line per precision."""
    name = result["rows"][0]["name"].split()[0]
    return "\n".join(
        f"{precision}: time grows as {name} ** {exponent['seconds']:.2f}, arithmetic as"
        f" {name} ** {exponent['gflop']:.2f}"
        for precision, exponent in exponents(result).items()
    )


def draw_growth(result: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Draws times over the values, and the time that arithmetic alone would take, scaled from the first value."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    fitted = exponents(result)
    for number, precision in enumerate(result["gemm_gflops"]):
        rows = [row for row in result["rows"] if row["precision"] == precision]
        values = [float(row["name"].split()[1]) for row in rows]
        seconds = [row["seconds"]["median"] for row in rows]
        alone = [seconds[0] * row["gflop"] / rows[0]["gflop"] for row in rows]
        label = f"{precision}, exponent {fitted[precision]['seconds']:.2f}"
        axes.plot(values, seconds, "o-", color=f"C{number}", label=label)
        label = f"as arithmetic grows, {fitted[precision]['gflop']:.2f}"
        axes.plot(values, alone, ":", color=f"C{number}", label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xlabel(result["rows"][0]["name"].split()[0])
    axes.set_ylabel(
        f"seconds of a {'training step' if result['what'] == 'train' else 'forward pass'}"
    )
    axes.grid(alpha=0.3)
    axes.legend()
    save_png(figure, path)
