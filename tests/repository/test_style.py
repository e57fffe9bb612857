"""House rules that ruff does not know: sizes, docstrings, and what no file may hold."""

from __future__ import annotations

import ast
import dataclasses
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from official_vision import config
from official_vision.specs import ALL

REPOSITORY = Path(__file__).resolve().parents[2]
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
MOST_MODULES_OF_A_FOLDER = 12
# Methods that Keras and Model Garden call and document; a class documents only what is special.
DOCUMENTED_ELSEWHERE = {
    "aggregate_logs",
    "build",
    "build_inputs",
    "build_losses",
    "build_metrics",
    "build_model",
    "call",
    "compute_output_shape",
    "create_optimizer",
    "from_config",
    "get_config",
    "get_build_config",
    "inference_step",
    "initialize",
    "process",
    "reduce_aggregated_logs",
    "reset_state",
    "result",
    "train_step",
    "update_state",
    "validation_step",
}
# In pieces, so that this file does not hold what it forbids.
UNFINISHED = re.compile(
    "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"))
)
FOREIGN = re.compile(
    "|".join(
        (
            r"/wo" + r"rk/",
            r"(?<![\w.])/ro" + r"ot/",
            r"(?<![\w.])/ho" + r"me/\w",
            r"(?<![\w.])/o" + r"pt/",
            r"/tm" + r"p/\w",
            r"py" + r"pi\.(org|io)",
            r"python" + r"hosted",
            r"npm" + r"js\.",
            r"://[^/\s]*(regis" + r"try|mir" + r"ror|arti" + r"factory)",
        )
    )
)
TEXT = {"", ".bazel", ".cfg", ".gin", ".json", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"}
FOLDERS = ("official_vision", "tools", "tests", "gin_configs", "docs", ".ci")


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))


def text_files() -> list[Path]:
    paths = [path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*")]
    paths += REPOSITORY.iterdir()
    return sorted(
        path
        for path in paths
        if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts
    )


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return function.end_lineno - function.lineno + 1


def public_without_docstring(body: list[ast.stmt], *, methods: bool = False) -> Iterator[str]:
    for node in body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef)) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and not (methods and node.name in DOCUMENTED_ELSEWHERE):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (
                f"{node.name}.{name}" for name in public_without_docstring(node.body, methods=True)
            )


def test_files_are_short() -> None:
    lengths = {
        path.relative_to(REPOSITORY).as_posix(): len(path.read_text().splitlines())
        for path in python_files("official_vision", "tools", "tests")
    }
    assert {path: n for path, n in lengths.items() if n >= MOST_LINES_OF_A_FILE} == {}


def test_folders_are_small() -> None:
    for folder in (REPOSITORY / "official_vision").rglob("*/"):
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= MOST_MODULES_OF_A_FOLDER, folder


def test_functions_are_short() -> None:
    lengths = {
        f"{path.relative_to(REPOSITORY)}:{function.name}": length(function)
        for path in python_files("official_vision", "tools", "tests")
        for function in functions(path)
    }
    assert {name: n for name, n in lengths.items() if n > MOST_LINES_OF_A_FUNCTION} == {}
    assert statistics.median(lengths.values()) < 15


def test_public_names_are_documented() -> None:
    missing = {}
    for path in python_files("official_vision", "tools"):
        module = ast.parse(path.read_text())
        names = list(public_without_docstring(module.body))
        names += [] if ast.get_docstring(module) else ["the module"]
        if names:
            missing[path.relative_to(REPOSITORY).as_posix()] = names
    assert missing == {}


def test_the_docstring_check_finds_what_is_missing() -> None:
    body = ast.parse(
        "class Layer:\n  'Said.'\n  def call(self): ...\n  def scale(self): ...\ndef _own(): ...\n"
        "def shown(): ...\n"
    ).body
    assert list(public_without_docstring(body)) == ["Layer.scale", "shown"]


def hidden_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yields (function, name) where an argument or a local variable has the name of an import, function or class."""
    top = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            top |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            arguments = function.args
            names = {a.arg for a in (*arguments.args, *arguments.kwonlyargs)}
            stored = (n for n in ast.walk(function) if isinstance(n, ast.Name))
            names |= {name.id for name in stored if isinstance(name.ctx, ast.Store)}
            yield from ((function.name, name) for name in sorted(names & top))


def test_local_names_hide_no_import_or_function() -> None:
    hidden = [
        (path.relative_to(REPOSITORY).as_posix(), *names)
        for path in python_files("official_vision", "tools")
        for names in hidden_names(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert hidden == []


def test_the_check_of_hidden_names_finds_them() -> None:
    source = "import a.b\nfrom c import d as e\ndef f(a, k): e, m = 1, 2\ndef g(): f = lambda x: x"
    assert list(hidden_names(ast.parse(source))) == [("f", "a"), ("f", "e"), ("g", "f")]


def test_nothing_is_left_unfinished() -> None:
    for path in python_files("official_vision", "tools", "tests"):
        assert not UNFINISHED.search(path.read_text()), path


def test_inputs_are_not_checked_by_assert() -> None:
    """`python -O` takes asserts away, and their message names no remedy."""
    for path in python_files("official_vision", "tools"):
        nodes = ast.walk(ast.parse(path.read_text()))
        assert not any(isinstance(node, ast.Assert) for node in nodes), path


def test_no_file_names_a_machine_or_a_registry() -> None:
    foreign = [path for path in text_files() if FOREIGN.search(path.read_text())]
    assert foreign == []


@pytest.mark.parametrize(
    "text", ["see /tm" + "p/clip.mp4", "https://py" + "pi.org/x", "cd /wo" + "rk/main"]
)
def test_the_machine_check_finds_what_is_forbidden(text: str) -> None:
    assert FOREIGN.search(text)


def test_sources_name_no_user_input_as_code() -> None:
    """Nothing that a user gives is run: no eval, exec, pickle or numpy's pickled arrays."""
    for path in python_files("official_vision", "tools"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "pickle.load", "pickle.loads"), path
                words = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert words.get("allow_pickle", "False") == "False", path


@pytest.mark.parametrize(
    "path",
    sorted((REPOSITORY / "gin_configs").rglob("*.gin")),
    ids=lambda path: path.relative_to(REPOSITORY).as_posix(),
)
def test_gin_files_are_read(path: Path) -> None:
    read = config.load([str(path)])
    assert read.to_dict() == config.load([str(path)]).to_dict()


def test_every_setting_is_read() -> None:
    """As an attribute, outside the folder that defines settings: one that nothing reads would do nothing."""
    files = [p for p in python_files("official_vision", "tools") if p.parent.name != "specs"]
    read = set(re.findall(r"\.([a-z_0-9]+)", "\n".join(path.read_text() for path in files)))
    names = {f"{spec.__name__}.{field.name}" for spec in ALL for field in dataclasses.fields(spec)}
    assert {name for name in names if name.split(".")[1] not in read} == set()
