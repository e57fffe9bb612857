"""Private names of other libraries stand in private_apis.py alone, whose tests tell when an upgrade moves them."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
GATHERED = REPOSITORY / "official_vision" / "private_apis.py"
# Documented in spite of the underscore.
DOCUMENTED = {"_exit", "_replace", "_asdict", "_fields", "_make"}
LIBRARIES = {"tensorflow", "tf_keras", "keras", "official", "orbit", "gin"}
# Packages whose public names are those that their libraries export elsewhere.
PRIVATE_PACKAGES = re.compile(r"\b(tensorflow\.(python|core|compiler)|(tf_)?keras\.src)\b")
BY_NAME = {"getattr", "setattr", "hasattr", "delattr", "attrgetter", "methodcaller"}


def sources() -> dict[Path, ast.Module]:
    files = [p for name in ("official_vision", "tools") for p in (REPOSITORY / name).rglob("*.py")]
    return {path: ast.parse(path.read_text()) for path in sorted(files) if path != GATHERED}


SOURCES = sources()


def is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def defined(tree: ast.AST) -> set[str]:
    """Private names that a file gives to functions, classes, variables and attributes."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return {name for name in names if is_private(name)}


def foreign(tree: ast.AST, ours: set[str]) -> Iterator[str]:
    """Yields private names of others that a file uses, with their line; `ours` are those of this package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [part for alias in node.names for part in alias.name.split(".")]
            names += (getattr(node, "module", None) or "").split(".")
            modules = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            if any(PRIVATE_PACKAGES.search(module) for module in modules):
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in BY_NAME:
            names = [a.value for a in node.args if isinstance(a, ast.Constant)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if PRIVATE_PACKAGES.match(node.value):
                yield f"line {node.lineno}: {node.value}"
            continue
        else:
            continue
        for name in names:
            if isinstance(name, str) and is_private(name) and name not in ours | DOCUMENTED:
                yield f"line {node.lineno}: {name}"


def overridden(kind: type, tree: ast.ClassDef) -> set[str]:
    """Private names of a class that its bases from libraries use too."""
    names = defined(tree)
    bases = [base for base in kind.__mro__ if base.__module__.split(".")[0] in LIBRARIES]
    code = "\n".join(inspect.getsource(base) for base in bases if base.__module__ != "builtins")
    return {name for name in names if re.search(rf"(\bself\.|\bdef ){name}\b", code)}


def test_no_private_name_of_a_library() -> None:
    # Inherited names are defined in other files of the package.
    ours = set().union(*(defined(tree) for tree in SOURCES.values()))
    names_of_others = {str(path): list(foreign(tree, ours)) for path, tree in SOURCES.items()}
    assert {path: names for path, names in names_of_others.items() if names} == {}


def classes_of_libraries() -> list[tuple[str, str]]:
    """Module and name of each class that derives from a library's, as far as names tell."""
    derived: dict[str, tuple[str, str]] = {}
    for _ in range(3):  # as deep as classes of this package derive from each other
        for path, tree in SOURCES.items():
            module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
            imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
            theirs = {
                alias.asname or alias.name
                for node in imports
                for alias in node.names
                if (getattr(node, "module", "") or alias.name).split(".")[0] in LIBRARIES
            }
            for node in tree.body:
                if isinstance(node, ast.ClassDef):
                    bases = [ast.unparse(base).split(".") for base in node.bases]
                    if any(base[0] in theirs or base[-1] in derived for base in bases):
                        derived[node.name] = module, node.name
    return list(derived.values())


def test_no_private_method_of_a_library_is_overridden() -> None:
    classes = classes_of_libraries()
    assert len(classes) > 20  # layers, the network, optimizers, the trainer
    for module, name in classes:
        kind = getattr(importlib.import_module(module), name)
        assert overridden(kind, ast.parse(inspect.getsource(kind)).body[0]) == set(), kind


@pytest.mark.parametrize(
    "code",
    [
        "optimizer._create_all_weights(v)",
        "from official.core.train_lib import _hidden",
        "from tensorflow.python.client import device_lib",
        "importlib.import_module('tf_keras.src.engine')",
        "getattr(model, '_flatten_layers')()",
        "super()._train_n_steps(2)",
    ],
)
def test_a_private_name_is_seen(code: str) -> None:
    assert len(list(foreign(ast.parse(code), {"_ours"}))) >= 1


def test_an_overridden_hook_is_seen() -> None:
    import orbit

    code = "class Mine(orbit.Controller):\n    def _train_n_steps(self): pass\n"
    tree = ast.parse(code).body[0]
    assert overridden(type("Mine", (orbit.Controller,), {}), tree) == {"_train_n_steps"}
