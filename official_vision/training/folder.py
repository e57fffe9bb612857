"""The folder of a run: what may go on in it, and its result."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

from official_vision import config as configuration
from official_vision import files
from official_vision.architecture.formats import from_json, save_architecture, to_json
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.data.index import Index
from official_vision.errors import UserError
from official_vision.training.restore import ARCHITECTURE_FILE

LOG_FILE = "train.log"
RESULT_FILE = "result.json"  # its presence says that the run has come to its end
# Settings whose change makes a resumed run another run.
_FIXED_SECTIONS = ("model",)


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """How a run ended: the last evaluation's figures, the best one's, and its wall time."""

    step: int
    figures: Mapping[str, float]
    best: Mapping[str, float]
    seconds: float


def begin(
    model_dir: Path, config: Config, architecture: Architecture, indexes: Mapping[str, Index]
) -> None:
    """Writes the run's settings and graph into its folder, after checking that it may go on there.

    Raises:
      UserError: the folder is of another architecture or other data.
    """
    check(model_dir, config, architecture, indexes)
    config.save(model_dir, {name: index.fingerprint for name, index in indexes.items()})
    save_architecture(architecture, model_dir / ARCHITECTURE_FILE)


def check(
    model_dir: Path, config: Config, architecture: Architecture, indexes: Mapping[str, Index]
) -> None:
    """Refuses to go on in a folder that another architecture or data set has made."""
    if not (model_dir / configuration.CONFIG_JSON).is_file():
        return
    record = configuration.read_record(model_dir)
    differences = [
        f"{section}.{name} was {record['config'][section].get(name)!r}, is {value!r}"
        for section in _FIXED_SECTIONS
        for name, value in config.to_dict()[section].items()
        if record["config"][section].get(name) != value
    ]
    architecture_path = model_dir / ARCHITECTURE_FILE
    if architecture_path.is_file():
        saved = from_json(architecture_path.read_text(encoding="utf-8"), str(architecture_path))
        if to_json(saved) != to_json(architecture):
            differences.append(f"the architecture was {saved.name!r}, is {architecture.name!r}")
    differences += [
        f"the {name} data has another fingerprint"
        for name, index in indexes.items()
        if record["data_fingerprints"].get(name, index.fingerprint) != index.fingerprint
    ]
    if differences:
        raise UserError(
            f"A run goes on with the model and data it began with. Received: {model_dir}, in which "
            f"{'; '.join(differences)}. Choose another TrainSpec.model_dir or the old settings."
        )


def write_result(model_dir: Path, result: TrainingResult) -> None:
    """Writes result.json; figures that are not a number become null."""
    files.write_json(model_dir / RESULT_FILE, _without_nan(dataclasses.asdict(result)))


def _without_nan(value: object) -> object:
    """JSON has no NaN, which mAP is when no video has a label."""
    if isinstance(value, Mapping):
        return {name: _without_nan(item) for name, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
