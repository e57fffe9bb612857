"""Reads gin files and bindings into specs, and writes specs to a run's folder. The only file that imports gin."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import io
import logging
import os
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import gin

from official_vision import files, formats, packaged, specs
from official_vision.errors import UserError, nearest
from official_vision.private_apis import gin_reads_with
from official_vision.specs import mistakes

CONFIG_JSON = "config.json"
CONFIG_GIN = "config.gin"
ARCHITECTURE_FILE = "architecture.json"  # the graph, beside a run's configuration
_PACKAGES = (
    "official-vision",
    "tensorflow",
    "tf-models-official",
    "tf_keras",
    "numpy",
    "gin-config",
)
# gin lets the errors of its tokenizer, parser, file readers and references through as they are.
# Two files may include a third; a file that is read more often includes itself.
_MOST_READINGS = 20
_GIN_ERRORS = (
    ValueError,
    SyntaxError,
    OSError,
    ImportError,
    AttributeError,
    TypeError,
    KeyError,
    tokenize.TokenError,
)
# Settings whose value None comes from the data; a run's folder records that value.
_BY_DATA = ("num_classes", "num_object_classes", "activation", "label_rule")

# Section of a configuration -> (spec class, gin scope). A scoped setting wins over an unscoped one.
_SECTIONS: dict[str, tuple[type[specs.Spec], str]] = {
    "model": (specs.ModelSpec, ""),
    "train_data": (specs.DataSpec, "train"),
    "validation_data": (specs.DataSpec, "validation"),
    "train": (specs.TrainSpec, ""),
    "loss": (specs.LossSpec, ""),
    "optimizer": (specs.OptimizerSpec, ""),
    "architecture_optimizer": (specs.OptimizerSpec, "architecture"),
    "prepare": (specs.PrepareSpec, ""),
    "evaluation": (specs.EvaluationSpec, ""),
    "connectivity": (specs.ConnectivitySpec, ""),
    "search": (specs.SearchSpec, ""),
    "evolution": (specs.EvolutionSpec, ""),
}
_CLASSES = {spec_class.__name__: spec_class for spec_class, _ in _SECTIONS.values()}
_SCOPES = {
    name: {"", *(scope for cls, scope in _SECTIONS.values() if cls.__name__ == name)}
    for name in _CLASSES
}

# Registered from outside, so that ModelSpec() in code never sees gin's global state.
for _name, _class in _CLASSES.items():
    gin.external_configurable(_class, _name, module="official_vision")


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of one experiment.

    `architecture_optimizer` moves connection strengths and peer logits; None is as `optimizer`.
    """

    model: specs.ModelSpec
    train_data: specs.DataSpec
    validation_data: specs.DataSpec
    train: specs.TrainSpec
    optimizer: specs.OptimizerSpec
    prepare: specs.PrepareSpec
    loss: specs.LossSpec = dataclasses.field(default_factory=specs.LossSpec)
    evaluation: specs.EvaluationSpec = dataclasses.field(default_factory=specs.EvaluationSpec)
    architecture_optimizer: specs.OptimizerSpec | None = None
    connectivity: specs.ConnectivitySpec = dataclasses.field(default_factory=specs.ConnectivitySpec)
    search: specs.SearchSpec = dataclasses.field(default_factory=specs.SearchSpec)
    evolution: specs.EvolutionSpec = dataclasses.field(default_factory=specs.EvolutionSpec)

    def __post_init__(self) -> None:
        if self.architecture_optimizer is None:
            object.__setattr__(self, "architecture_optimizer", self.optimizer)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Returns all settings as plain JSON values, one dict per section."""
        return {section: getattr(self, section).to_dict() for section in _SECTIONS}

    def to_gin(self) -> str:
        """Returns all settings as a gin file that gives this configuration again."""
        lines = ["# Every setting of this run, as resolved from its gin files and bindings.\n"]
        for section, (spec_class, scope) in _SECTIONS.items():
            prefix = f"{scope}/{spec_class.__name__}" if scope else spec_class.__name__
            for name, value in getattr(self, section).to_dict().items():
                lines.append(f"{prefix}.{name} = {value!r}\n")
        return "".join(lines)

    def save(
        self, folder: str | os.PathLike, data_fingerprints: Mapping[str, str] | None = None
    ) -> None:
        """Writes config.json (with versions and data fingerprints) and config.gin into `folder`."""
        record = {
            "config": self.to_dict(),
            "versions": versions(),
            "data_fingerprints": dict(data_fingerprints or {}),
        }
        formats.RUN.write(Path(folder) / CONFIG_JSON, record)
        files.write_text(Path(folder) / CONFIG_GIN, self.to_gin())


def load(gin_files: Sequence[str], gin_bindings: Sequence[str] = ()) -> Config:
    """Builds a configuration from gin files (later ones win) and bindings (which win over files).

    Raises:
      UserError: a missing file, a misspelt name, a wrong type or a value out of range; one line with
        the file, the line and the nearest right name where they are known.
    """
    gin.clear_config()
    try:
        parsed = _parse(gin_files, gin_bindings)
        _check_scopes()
        _check_macros()
        return Config(
            **{
                section: _build(
                    spec_class, scope, lambda setting: _where(setting, parsed, gin_bindings)
                )
                for section, (spec_class, scope) in _SECTIONS.items()
            }
        )
    finally:
        gin.clear_config()


def read(folder: str | os.PathLike) -> Config:
    """Reads the configuration that `Config.save` wrote into a run's folder."""
    record = read_record(folder)
    with files.damage_reported(Path(folder) / CONFIG_JSON):
        return Config(
            **{
                section: spec_class.from_dict(record["config"][section])
                for section, (spec_class, _) in _SECTIONS.items()
            }
        )


def read_record(folder: str | os.PathLike) -> dict[str, Any]:
    """Reads config.json whole: the settings, versions and data fingerprints of a run.

    Raises:
      UserError: the folder has no configuration, or one of another program.
    """
    path = Path(folder) / CONFIG_JSON
    if not path.is_file():
        raise UserError(
            f"A run's folder has {CONFIG_JSON}, written by official-vision train. "
            f"Received: {folder}, which has none."
        )
    return formats.RUN.read(path, {"config": dict, "data_fingerprints": dict})


def differences(
    before: Mapping[str, Mapping[str, Any]], now: Config, sections: Iterable[str]
) -> list[str]:
    """Compares settings with those at a run's start.

    Args:
      before: a dict a section, as of `Config.to_dict`.
      now: settings.
      sections: of them that count.

    Returns:
      "section.name was A, is B" for each that differs. What is left to the data now differs from nothing.
    """
    return [
        f"{section}.{name} was {before[section].get(name)!r}, is {value!r}"
        for section in sections
        for name, value in now.to_dict()[section].items()
        if before[section].get(name) != value and (value is not None or name not in _BY_DATA)
    ]


def _parse(gin_files: Sequence[str], gin_bindings: Sequence[str]) -> list[str]:
    """Parses everything; returns the files read, included ones too, in the order of reading."""
    gin_files = [packaged.located(file) for file in gin_files]
    for file in gin_files:
        if not os.path.isfile(file):
            raise UserError(
                f"A gin file must exist. Received: --gin_file={file}. {_similar_file(file)}"
            )
    # Gin logs an error for each folder in which an included file isn't.
    logging.disable(logging.ERROR)
    # Included files lie beside the file that includes them, or come with the package.
    beside = [os.path.dirname(os.path.abspath(file)) for file in gin_files]
    reader = (functools.partial(_opened, Counter()), os.path.isfile)
    try:
        with gin_reads_with(
            gin.config, reader, [*beside, str(packaged.ROOT), str(packaged.gin_folder())]
        ):
            parsed = gin.parse_config_files_and_bindings(
                list(gin_files), list(gin_bindings), finalize_config=False
            )
    except UserError:
        raise
    except SyntaxError as error:
        place = f"{error.filename}, line {error.lineno}" if error.filename else "--gin_bindings"
        mistake = mistakes.of_value(error.text or "", place, _CLASSES)
        raise UserError(mistake or _one_line(error)) from error
    except _GIN_ERRORS as error:
        raise UserError(_one_line(error)) from error
    finally:
        logging.disable(logging.NOTSET)
    return list(_names(parsed))


def _names(parsed: Sequence[Any]) -> Iterator[str]:
    for file in parsed:
        yield from _names(file.includes)
        yield file.filename


def _similar_file(file: str) -> str:
    folder = Path(file).parent
    names = [str(folder / path.name) for path in folder.glob("*.gin")] if folder.is_dir() else []
    return nearest(file, names) if names else f"The folder {folder} has no gin file."


def _opened(times: Counter[str], path: str) -> TextIO:
    """Opens a gin file, which a Windows editor may have begun with a byte order mark.

    Args:
      times: how often each file has been read.
      path: of the file.
    """
    times[os.path.realpath(path)] += 1
    if times[os.path.realpath(path)] > _MOST_READINGS:
        raise UserError(
            f"Gin files must not include themselves. Received: {path}. Remove the include."
        )
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"A gin file must be UTF-8 text. Received: {path} ({error}). Save it as UTF-8."
        ) from error
    opened = io.StringIO("".join([text, *_paths_of_moved_run(Path(path))]), newline=None)
    opened.name = path  # as a file has it: gin names the place of a mistake by it
    return opened


def _paths_of_moved_run(path: Path) -> Iterator[str]:
    """Yields lines for the config.gin of a run whose folder was moved or copied: its paths are there."""
    folder = path.parent
    if path.name != CONFIG_GIN or not (folder / ARCHITECTURE_FILE).is_file():
        return
    try:
        settings = read(folder)
    except UserError:  # without a whole record the file is as any other
        return
    recorded = Path(settings.train.model_dir)
    if not settings.train.model_dir or (recorded.is_dir() and recorded.samefile(folder)):
        return
    yield f"\nTrainSpec.model_dir = {os.path.abspath(folder)!r}\n"
    if settings.model.architecture.endswith(
        ".json"
    ):  # a file that may be left behind; else one of the zoo
        graph = os.path.abspath(folder / ARCHITECTURE_FILE)
        yield f"ModelSpec.architecture = {graph!r}\n"


def _one_line(error: Exception) -> str:
    """Returns gin's message as one line, with the nearest right name where a name is wrong."""
    text = " ".join(str(error).split())
    if "Expected newline" in text or "Couldn't parse statement" in text:
        text += " A setting is written Spec.name = value, one per line."
    if match := re.search(r"No configurable matching '([^']*)'", text):
        text += f" {nearest(match[1].split('/')[-1], _CLASSES)}"
    if match := re.search(r"Configurable '([^']*)' doesn't have a parameter named '([^']*)'", text):
        text += f" {nearest(match[2], _names_of(_CLASSES[match[1].split('.')[-1]]))}"
    return f"The gin configuration cannot be read: {text}"


def _check_scopes() -> None:
    """Refuses a misspelt scope, which gin would silently ignore."""
    for scope, name in re.findall(
        r"^(?:(\S+)/)?(\w+)\.\w+ =", gin.config_str(), flags=re.MULTILINE
    ):
        if name in _SCOPES and scope not in _SCOPES[name]:
            known = ", ".join(
                f"{known}/{name}" if known else name for known in sorted(_SCOPES[name])
            )
            raise UserError(f"{name} can be set as {known}. Received: {scope}/{name}.")


def _check_macros() -> None:
    """Refuses `steps = 100`, which gin takes for the macro %steps: it would change nothing."""
    text = gin.config_str()
    macros = re.split(r"^# Parameters for ", text, maxsplit=1, flags=re.MULTILINE)[0]
    for name in re.findall(r"^([\w./]+) =", macros, flags=re.MULTILINE):
        if re.search(rf"%{re.escape(name)}\b", text):
            continue
        meant = [f"{spec}.{name}" for spec, fields in _CLASSES.items() if name in _names_of(fields)]
        remedy = f"Did you mean {' or '.join(meant)}?" if meant else "Remove it."
        raise UserError(
            f"A setting is written Spec.name = value. Received: {name} = ..., which nothing uses. {remedy}"
        )


def _names_of(spec_class: type[specs.Spec]) -> set[str]:
    return {field.name for field in dataclasses.fields(spec_class)}


def _build(spec_class: type[specs.Spec], scope: str, where: Callable[[str], str]) -> specs.Spec:
    try:
        with gin.config_scope(scope or None):
            settings = gin.get_bindings(spec_class.__name__)
    except _GIN_ERRORS as error:  # a macro without a value, a reference that fails
        raise UserError(_one_line(error)) from error
    try:
        return spec_class(**settings)
    except UserError as error:
        setting = str(error).split(" ", 1)[0]
        raise UserError(f"{error}{where(setting)}") from error


def _where(setting: str, gin_files: Sequence[str], gin_bindings: Sequence[str]) -> str:
    """Names the binding, or the file and line, that last set `setting`, e.g. ModelSpec.depth."""
    pattern = re.compile(rf"^\s*(?:[\w/]+/|official_vision\.)*{re.escape(setting)}\s*=")
    for binding in reversed(gin_bindings):
        if pattern.match(binding):
            return f" Set by --gin_bindings={binding!r}."
    for file in reversed(gin_files):
        lines = _path_of(file, gin_files).read_text(encoding="utf-8-sig").splitlines()
        for number, line in enumerate(lines, start=1):
            if pattern.match(line):
                return f" Set by {file}, line {number}."
    return ""


def _path_of(file: str, gin_files: Sequence[str]) -> Path:
    """Returns the path of a file that gin reads by its search path."""
    beside = (Path(including).parent / file for including in gin_files)
    candidates = (Path(file), *beside, Path(packaged.located(file)))
    return next(path for path in candidates if path.is_file())


def versions() -> dict[str, str]:
    """Returns the versions of this package and of those that influence its results."""
    versions_by_package = {}
    for package in _PACKAGES:
        try:
            versions_by_package[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions_by_package[package] = "not installed"
    return versions_by_package
