"""The folder of a run: what may go on in it, and its result."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from official_vision import config as configuration
from official_vision import files
from official_vision.architecture.formats import from_json, save_architecture, to_json
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.data.index import Index
from official_vision.errors import UserError
from official_vision.metrics.figures import without_nan
from official_vision.training.best import INFO_FILE
from official_vision.training.controller import EVALUATED_FILE
from official_vision.training.restore import ARCHITECTURE_FILE, BEST_FOLDER

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
    """Writes the run's settings and graph into its folder."""
    config.save(model_dir, {name: index.fingerprint for name, index in indexes.items()})
    save_architecture(architecture, model_dir / ARCHITECTURE_FILE)


def check(
    model_dir: Path, config: Config, architecture: Architecture, indexes: Mapping[str, Index]
) -> None:
    """Refuses to go on in a folder that another architecture or data set has made.

    Raises:
      UserError: with every difference.
    """
    if not (model_dir / configuration.CONFIG_JSON).is_file():
        return
    record = configuration.read_record(model_dir)
    differences = configuration.differences(record["config"], config, _FIXED_SECTIONS)
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


@contextlib.contextmanager
def records_of(model_dir: Path, is_chief: bool) -> Iterator[Path]:
    """Yields the folder that a process writes to: the run's, or another worker's passing one.

    Saving takes all workers, since each holds a part of some variables; but one folder is enough. The
    workers' own begin with the records by which all must decide alike.
    """
    if is_chief:
        yield model_dir
        return
    with tempfile.TemporaryDirectory(prefix="official-vision-worker-") as passing:
        for name in (EVALUATED_FILE, f"{BEST_FOLDER}/{INFO_FILE}"):
            if (model_dir / name).is_file():
                (Path(passing) / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(model_dir / name, Path(passing) / name)
        yield Path(passing)


def write_result(model_dir: Path, result: TrainingResult) -> None:
    """Writes result.json; figures that are not a number become null."""
    files.write_json(model_dir / RESULT_FILE, without_nan(dataclasses.asdict(result)))
