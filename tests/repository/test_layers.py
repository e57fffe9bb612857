"""Imports run one way: tools -> training, search, serving -> modeling, data -> specs and such."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "official_vision"

_BASE = {
    "errors",
    "files",
    "formats",
    "interruption",
    "names",
    "packaged",
    "plain",
    "private_apis",
    "progress",
}
_FACTS = _BASE | {"architecture", "specs"}
_TOOLS = {"processes", "presentation"}
# A folder or file of the package -> what of the package it may import beside itself.
MAY_IMPORT = {
    # And, for type checkers alone, whatever it offers.
    "__init__": {"errors", "extras", "api", "layers", "specs"},
    "errors": set(),
    "plain": set(),
    "packaged": set(),
    "extras": {"errors"},
    "private_apis": set(),
    "progress": set(),
    "interruption": set(),
    "files": {"errors", "interruption"},
    "formats": {"errors", "files"},
    "lock": {"errors"},
    "names": {"errors"},
    "cli": _BASE | {"specs", "extras"},
    "presentation": _BASE,
    "processes": {"errors"},
    "specs": _BASE,
    "architecture": _BASE | {"presentation"},
    "config": _BASE | {"specs"},
    "metrics": _BASE | {"specs"},
    "modeling": _FACTS,
    "data": _FACTS | {"lock", "presentation", "processes"},
    "training": _FACTS
    | {"extras", "lock", "presentation", "metrics", "modeling", "data", "config"},
    "conversion": _FACTS | {"modeling", "training", "config", "data"},
    "serving": _FACTS | _TOOLS | {"lock", "metrics", "modeling", "data", "config", "training"},
    "search": _FACTS | _TOOLS | {"lock", "metrics", "modeling", "data", "config", "training"},
    "layers": {"modeling", "specs"},
    "api": _FACTS | {"config", "data", "modeling", "training", "serving", "metrics"},
    "commands": _FACTS
    | _TOOLS
    | {"lock", "metrics", "modeling", "data", "config", "training", "search", "serving"}
    | {"benchmark", "conversion", "cli", "extras", "__init__", "__version__"},
    "benchmark": _FACTS | _TOOLS | {"modeling", "data", "config", "training", "search", "serving"},
}
WITHOUT_TENSORFLOW = (
    "errors",
    "lock",
    "interruption",
    "files",
    "formats",
    "names",
    "plain",
    "private_apis",
    "progress",
    "cli",
    "specs",
    "config",
    "architecture",
    "metrics",
)
TENSORFLOW = {"tensorflow", "tf_keras", "official", "tensorflow_addons", "keras"}
# Packages that a plain installation may lack: nothing but the code that uses them may need them.
EXTRAS = {"gradio", "grpc", "mlflow", "ray", "wandb", "tensorflow_addons", "tensorflow_serving"}


def package_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def part_of(path: Path) -> str:
    """The folder or file directly below official_vision of a file."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> set[str]:
    """Dotted names; `from a import b` gives "a.b", whatever b is."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(parsed(path))}


def test_every_part_of_the_package_has_its_place() -> None:
    assert {part_of(path) for path in package_files()} <= set(MAY_IMPORT)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_only_what_lies_below_it(part: str) -> None:
    for path in package_files():
        if part_of(path) != part:
            continue
        names = [name.split(".") for name in imported(parsed(path))]
        used = {name[1] for name in names if name[0] == "official_vision"}
        assert used <= MAY_IMPORT[part] | {part}, path
        assert not {name[0] for name in names} & {"tools", "tests"}, path


def test_only_config_imports_gin() -> None:
    folders = (REPOSITORY / "official_vision", REPOSITORY / "tools")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert [path.name for path in files if "gin" in tops(path)] == ["config.py"]


def test_one_module_shows_progress() -> None:
    folders = (REPOSITORY / "official_vision", REPOSITORY / "tools")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert [path.name for path in files if "tqdm" in tops(path)] == ["progress.py"]


def test_one_folder_starts_processes() -> None:
    starting = {"subprocess", "multiprocessing"}
    assert {part_of(path) for path in package_files() if tops(path) & starting} == {"processes"}


def test_nothing_imports_keras_3() -> None:
    for path in package_files():
        assert "keras" not in tops(path), path
        names = imported(parsed(path))
        assert not any(name.startswith("tensorflow.keras") for name in names), path
        # The package records who has used it.
        assert "tf.keras" not in path.read_text() or path == PACKAGE / "__init__.py", path


def test_facts_import_no_tensorflow() -> None:
    for path in package_files():
        if part_of(path) in WITHOUT_TENSORFLOW:
            assert not tops(path) & TENSORFLOW, path


def test_facts_load_no_tensorflow_through_others() -> None:
    modules = [
        path.relative_to(REPOSITORY).with_suffix("").as_posix().replace("/", ".")
        for path in package_files()
        if part_of(path) in WITHOUT_TENSORFLOW
    ]
    code = f"import sys, importlib\nfor name in {modules}: importlib.import_module(name)\n"
    code += f"print(sorted({TENSORFLOW} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_commands_are_named_unlike_any_module() -> None:
    """A command's folder comes first on the module path: its file would be imported instead."""
    installed = set(importlib.metadata.packages_distributions())
    for path in (REPOSITORY / "tools").glob("*.py"):
        assert path.stem not in sys.stdlib_module_names | installed, path


def test_extras_are_imported_where_they_are_used() -> None:
    """At the head of a module an extra would be needed by everything that imports the module."""
    for path in package_files():
        body = parsed(path).body
        imports = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
        head = ast.Module(imports, [])
        assert not {name.split(".")[0] for name in imported(head)} & EXTRAS, path
