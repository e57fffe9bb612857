"""BUILD has a target for each Python file, with the dependencies that the file's imports need.

BUILD is read here as Python syntax and compared with the files, without the tool that writes it.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import update_build

REPOSITORY = Path(__file__).resolve().parents[2]
BUILDIFIER = "@bazel/buildifier@8.2.1"
LOCAL = ("official_vision", "tools", "tests")
# Imported name -> distributions, as installed.
DISTRIBUTIONS = importlib.metadata.packages_distributions()
# pytest on Bazel's command line needs these in every test.
TEST_RUNNER = {"@pypi//pytest", "@pypi//pytest_timeout"}


def read_targets() -> dict[str, dict]:
    """Name -> {"kind": ..., attribute: value} of each target; a glob stands as its syntax tree."""
    targets = {}
    for statement in ast.parse((REPOSITORY / "BUILD").read_text()).body:
        call = statement.value
        if isinstance(call, ast.Call) and call.func.id.startswith("py_"):
            fields = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
            assert fields["name"] not in targets, "a name is given twice"
            targets[fields["name"]] = {"kind": call.func.id, "deps": [], **fields}
    return targets


def python_files() -> set[str]:
    found = (path for folder in LOCAL for path in (REPOSITORY / folder).rglob("*.py"))
    return {path.relative_to(REPOSITORY).as_posix() for path in found}


def imports_of(path: str) -> set[tuple[str, str]]:
    """(module, name) pairs of a file; name is empty for `import module`."""
    pairs = set()
    for node in ast.walk(ast.parse((REPOSITORY / path).read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            pairs |= {(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            pairs |= {(alias.name, "") for alias in node.names}
    return pairs


def label_of(module: str, name: str, local_modules: dict[str, str]) -> str | None:
    """The label that an import needs, None for the standard library and folders without code."""
    if f"{module}.{name}" in local_modules:
        return local_modules[f"{module}.{name}"]
    if module in local_modules:
        return local_modules[module]
    top = module.split(".")[0]
    if top in sys.stdlib_module_names or top in LOCAL:
        return None
    (distribution,) = DISTRIBUTIONS.get(top, [top])
    return f"@pypi//{re.sub('[-.]', '_', distribution).lower()}"


def local_modules() -> dict[str, str]:
    modules = {}
    for path in python_files():
        stem = path.removesuffix(".py")
        modules[stem.removesuffix("/__init__").replace("/", ".")] = f":{stem}"
    return modules


TARGETS = read_targets()


def test_every_file_has_a_target_of_the_right_kind() -> None:
    kinds = {source: target["kind"] for target in TARGETS.values() for source in target["srcs"]}
    for path in python_files():
        is_test = path.startswith("tests/") and Path(path).name.startswith("test_")
        kind = "py_test" if is_test else "py_library"
        if path.startswith("tools/"):
            kind = "py_binary"
        if path == "tests/run_pytest.py":
            kind = "py_test"  # a source of all of them
        assert kinds.get(path) == kind, f"{path}: run tools/update_build.py"


def test_every_file_that_a_target_names_is_there() -> None:
    for name, target in TARGETS.items():
        for path in [*target["srcs"], *target.get("data", [])]:
            assert path.startswith(":") or (REPOSITORY / path).is_file(), f"{name}: {path}"
        for label in target["deps"]:
            assert label.startswith("@pypi//") or label[1:] in TARGETS, f"{name}: {label}"


def test_a_test_runs_through_pytest() -> None:
    tests = {name: target for name, target in TARGETS.items() if target["kind"] == "py_test"}
    assert tests
    for name, target in tests.items():
        assert target["main"] == "tests/run_pytest.py"
        assert target["args"] == [f"{name}.py"]
        assert set(target["deps"]) >= TEST_RUNNER


def test_targets_depend_on_what_their_files_import() -> None:
    modules = local_modules()
    for name, target in TARGETS.items():
        own = f":{name}"
        needed = {label_of(*pair, modules) for pair in imports_of(f"{name}.py")} - {None, own}
        missing = needed - set(target["deps"])
        assert not missing, f"{name} misses {missing}: run tools/update_build.py"


def test_targets_depend_on_nothing_else() -> None:
    modules = local_modules()
    for name, target in TARGETS.items():
        source = (REPOSITORY / f"{name}.py").read_text()
        needed = {label_of(*pair, modules) for pair in imports_of(f"{name}.py")}
        for label in set(target["deps"]) - needed - TEST_RUNNER:
            if label.startswith("@pypi//"):  # imported by name
                assert label.removeprefix("@pypi//") in source, f"{name}: {label}"
            elif label.startswith(":tools/"):  # started as a command
                assert f"{label[1:]}.py" in source, f"{name}: {label}"
            else:  # a package's own file, or what all tests share
                folder, _, file = label[1:].rpartition("/")
                assert file in ("__init__", "conftest"), f"{name}: {label}"
                assert name.startswith(f"{folder}/"), f"{name}: {label}"


def test_no_target_depends_on_itself_through_others() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name not in done:
            for label in TARGETS[name]["deps"]:
                if label.startswith(":"):
                    visit(label[1:], (*path, name))
            done.add(name)

    for name in TARGETS:
        visit(name, ())


def test_build_is_what_the_tool_writes() -> None:
    assert (REPOSITORY / "BUILD").read_text() == update_build.build_text(REPOSITORY), (
        "run tools/update_build.py"
    )


def test_packages_are_pinned_where_bazel_reads_them() -> None:
    pinned = {
        re.sub("[-.]", "_", line.split("==")[0]).lower()
        for line in (REPOSITORY / "requirements.txt").read_text().splitlines()
        if not line.startswith("#")
    }
    used = {label for target in TARGETS.values() for label in target["deps"] if label[0] == "@"}
    assert {label.removeprefix("@pypi//") for label in used} <= pinned


def test_module_has_the_version_of_the_package() -> None:
    import official_vision

    fields = {}
    for statement in ast.parse((REPOSITORY / "MODULE.bazel").read_text()).body:
        if isinstance(statement.value, ast.Call) and ast.unparse(statement.value.func) == "module":
            fields = {word.arg: ast.literal_eval(word.value) for word in statement.value.keywords}
    assert fields == {"name": "official_vision", "version": official_vision.__version__}


def test_buildifier_finds_nothing() -> None:
    if not shutil.which("npx"):
        pytest.skip("npx is not installed")
    command = ["npx", "--yes", BUILDIFIER]
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("npx cannot fetch buildifier")
    done = subprocess.run(
        [*command, "--mode=check", "--lint=warn", "BUILD", "MODULE.bazel"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
