"""Each folder's BUILD has a target for each Python file, with the dependencies that its imports need.

The BUILD files are read here as Python syntax and compared with the files, without the tool that
writes them; tests/repository/test_bazel.py has Bazel read them.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

from tests.repository.test_layers import MAY_IMPORT
from tools import update_build

REPOSITORY = Path(__file__).resolve().parents[2]
BUILDIFIER = "@bazel/buildifier@8.2.1"
LOCAL = ("official_vision", "tools", "tests")
MAIN = "tests/run_pytest.py"
# Imported name -> distributions, as installed.
DISTRIBUTIONS = importlib.metadata.packages_distributions()
EVERYWHERE = "//official_vision:official_vision"  # the package's __init__, which every import runs
# pytest on Bazel's command line needs these in every test.
TEST_RUNNER = {"@pypi//pytest", "@pypi//pytest_timeout"}


class Target(NamedTuple):
    """A py_ target of a BUILD file; labels are absolute and whole, files relative to the repository."""

    kind: str
    folder: str
    sources: list[str]
    data: list[str]
    dependencies: set[str]
    visibility: set[str]
    fields: dict


def build_paths() -> list[Path]:
    below = [path for folder in LOCAL for path in (REPOSITORY / folder).rglob("BUILD")]
    return [REPOSITORY / "BUILD", *below]


def calls_of(path: Path) -> list[tuple[str, dict]]:
    """Kind and attributes of each statement; an attribute that is no literal is given as text."""
    calls = []
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement.value, ast.Call):
            fields = {}
            for word in statement.value.keywords:
                try:
                    fields[word.arg] = ast.literal_eval(word.value)
                except ValueError:
                    fields[word.arg] = ast.unparse(word.value)
            calls.append((statement.value.func.id, fields))
    return calls


def whole(label: str, folder: str) -> str:
    """//folder:name of a label or file in the BUILD file of `folder`."""
    if label.startswith("@"):
        return label
    if not label.startswith("//"):
        return f"//{folder}:{label.removeprefix(':')}"
    return label if ":" in label else f"{label}:{label.rpartition('/')[2]}"


def path_of(label: str) -> str:
    return label.removeprefix("//").replace(":", "/").removeprefix("/")


def read_targets() -> dict[str, Target]:
    """Label -> target."""
    targets = {}
    for path in build_paths():
        folder = path.parent.relative_to(REPOSITORY).as_posix().removeprefix(".")
        calls = calls_of(path)
        (package,) = (fields for kind, fields in calls if kind == "package")
        for kind, fields in calls:
            if not kind.startswith("py_"):
                continue
            label = f"//{folder}:{fields['name']}"
            assert label not in targets, "a name is repeated"
            visibility = fields.get("visibility", package["default_visibility"])
            targets[label] = Target(
                kind,
                folder,
                [path_of(whole(item, folder)) for item in fields["srcs"]],
                [whole(item, folder) for item in fields.get("data", [])],
                {whole(item, folder) for item in fields.get("deps", [])},
                {whole(item, folder) for item in visibility},
                fields,
            )
    return targets


def other_labels() -> set[str]:
    """Labels of file groups, and of files that are exported to other folders."""
    labels = set()
    for path in build_paths():
        folder = path.parent.relative_to(REPOSITORY).as_posix().removeprefix(".")
        text = path.read_text()
        exported = re.findall(r'exports_files\(\["(.*)"\]\)', text)
        grouped = [fields["name"] for kind, fields in calls_of(path) if kind == "filegroup"]
        labels |= {f"//{folder}:{name}" for name in (*exported, *grouped)}
    return labels


def python_files() -> set[str]:
    every = (path for folder in LOCAL for path in (REPOSITORY / folder).rglob("*.py"))
    return {path.relative_to(REPOSITORY).as_posix() for path in every}


@functools.cache
def imports_of(path: str) -> set[tuple[str, str]]:
    """(module, name) pairs of a file; name is empty for `import module`."""
    pairs = set()
    text = (REPOSITORY / path).read_text()
    if path.endswith(
        "__init__.py"
    ):  # for type checkers alone: names are imported when they are used
        text = re.sub(r"^if TYPE_CHECKING:\n(    .*\n|\n(?=    ))*", "", text, flags=re.MULTILINE)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            pairs |= {(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            pairs |= {(alias.name, "") for alias in node.names}
    return pairs


def label_of(module: str, name: str, local_modules: dict[str, str | None]) -> str | None:
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


def imports_nothing(path: str) -> bool:
    """Says whether a file is an __init__.py that any library of its folder may have as a source."""
    return path.endswith("/__init__.py") and not imports_of(path)


@functools.cache
def local_modules() -> dict[str, str | None]:
    """Dotted name -> label of the target that has the file; None for packages that import nothing."""
    modules = {}
    for label, target in TARGETS.items():
        for path in target.sources:
            name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            modules[name] = None if imports_nothing(path) else label
    return modules


TARGETS = read_targets()


def needed_by(label: str) -> set[str]:
    """Labels that the imports of a target's files need."""
    modules = local_modules()
    sources = [path for path in TARGETS[label].sources if path != MAIN]
    pairs = set().union(*map(imports_of, sources))
    return {label_of(*pair, modules) for pair in pairs} - {None, label}


def test_every_file_has_one_target_of_the_right_kind() -> None:
    for path in python_files():
        kinds = [target.kind for target in TARGETS.values() if path in target.sources]
        kind = "py_test" if PurePosixPath(path).name.startswith("test_") else "py_library"
        if path.startswith("tools/"):
            kind = "py_binary"
        if path == MAIN:
            assert set(kinds) == {"py_test"}  # a source of all of them
        elif not imports_nothing(path):
            assert kinds == [kind], f"{path}: run tools/update_build.py"


def test_a_target_has_files_of_its_folder() -> None:
    for label, target in TARGETS.items():
        for path in set(target.sources) - {MAIN}:
            assert (REPOSITORY / path).is_file(), f"{label}: {path}"
            assert str(PurePosixPath(path).parent) == target.folder, f"{label}: {path}"


def test_no_target_is_only_an_init() -> None:
    for label, target in TARGETS.items():
        names = {PurePosixPath(path).name for path in target.sources}
        assert names != {"__init__.py"}, label
    # One of many modules carries the name of its folder, as Bazel users write it: //a/b is //a/b:b.
    specs = TARGETS["//official_vision/specs:specs"].sources
    assert {"official_vision/specs/__init__.py", "official_vision/specs/model.py"} <= set(specs)


def test_a_library_has_its_folders_init() -> None:
    for label, target in TARGETS.items():
        path = f"{target.folder}/__init__.py"
        if (REPOSITORY / path).is_file() and imports_nothing(path):
            assert path in target.sources, label


def test_every_label_that_a_target_names_is_there() -> None:
    others = other_labels()
    for name, target in TARGETS.items():
        assert set(target.data) <= others, name
        for label in target.dependencies:
            assert label.startswith("@pypi//") or label in TARGETS, f"{name}: {label}"


def test_a_test_runs_through_pytest() -> None:
    tests = {label: target for label, target in TARGETS.items() if target.kind == "py_test"}
    assert tests
    for label, target in tests.items():
        assert path_of(whole(target.fields["main"], target.folder)) == MAIN
        assert target.fields["args"] == [f"{path_of(label)}.py"]
        assert set(target.sources) == {MAIN, f"{path_of(label)}.py"}
        assert target.dependencies >= TEST_RUNNER


def test_targets_depend_on_what_their_files_import() -> None:
    for label, target in TARGETS.items():
        missing = needed_by(label) - target.dependencies
        assert not missing, f"{label} misses {missing}: run tools/update_build.py"


def test_targets_depend_on_nothing_else() -> None:
    for name, target in TARGETS.items():
        text = "".join((REPOSITORY / path).read_text() for path in target.sources)
        for label in target.dependencies - needed_by(name) - TEST_RUNNER:
            if label.startswith("@pypi//"):  # imported by name
                assert label.removeprefix("@pypi//") in text, f"{name}: {label}"
                continue
            paths = TARGETS[label].sources
            modules = {path.removesuffix(".py").replace("/", ".") for path in paths}
            if any(item in text for item in {*paths, *modules}):  # started as a program
                continue
            # A package that runs before its modules, or what all tests of a folder share.
            names = {PurePosixPath(path).name for path in paths}
            assert names & {"__init__.py", "conftest.py"}, f"{name}: {label}"
            assert f"{target.folder}/".startswith(f"{TARGETS[label].folder}/"), f"{name}: {label}"


def test_no_target_depends_on_itself_through_others() -> None:
    done: set[str] = set()

    def visit(label: str, path: tuple[str, ...]) -> None:
        assert label not in path, " -> ".join((*path, label))
        if label not in done:
            for other in TARGETS[label].dependencies & set(TARGETS):
                visit(other, (*path, label))
            done.add(label)

    for label in TARGETS:
        visit(label, ())


@pytest.mark.parametrize("part", sorted(set(MAY_IMPORT) - {"__init__"}))
def test_a_group_of_importers_states_a_line_of_the_layers(part: str) -> None:
    top = REPOSITORY / "official_vision"
    groups = [fields for kind, fields in calls_of(top / "BUILD") if kind == "package_group"]
    (group,) = (item for item in groups if item["name"] == f"importers_of_{part}")
    importers = {name for name, parts in MAY_IMPORT.items() if part in parts} | {part}
    folders = {name for name in importers if (top / name).is_dir()}
    # A module at the top of the package is a target of //official_vision.
    modules = {"//official_vision"} if importers - folders else set()
    inside = {f"//official_vision/{name}/..." for name in folders} | modules
    assert set(group["packages"]) == inside | {"//tools/...", "//tests/..."}


def test_a_target_is_visible_to_the_importers_of_its_part() -> None:
    for label, target in TARGETS.items():
        top, *below = target.folder.split("/")
        if top == "official_vision" and label != EVERYWHERE:
            part = below[0] if below else target.fields["name"]
            assert target.visibility == {f"//official_vision:importers_of_{part}"}, label


def test_what_runs_before_every_module_is_visible_to_all() -> None:
    assert TARGETS[EVERYWHERE].visibility == {"//:__subpackages__"}
    assert set(TARGETS[EVERYWHERE].sources) == {
        "official_vision/__init__.py",
        "official_vision/errors.py",
        "official_vision/extras.py",
    }
    for label, target in TARGETS.items():
        if label.startswith("//tests"):
            assert target.visibility == {"//tests:__subpackages__"}, label


def test_build_files_are_what_the_tool_writes() -> None:
    written = {path.relative_to(REPOSITORY).as_posix(): path.read_text() for path in build_paths()}
    assert written == update_build.build_files(REPOSITORY), "run tools/update_build.py"


def test_packages_are_pinned_where_bazel_reads_them() -> None:
    pinned = {
        re.sub("[-.]", "_", line.split("==")[0]).lower()
        for line in (REPOSITORY / "requirements.txt").read_text().splitlines()
        if not line.startswith("#")
    }
    every = set().union(*(target.dependencies for target in TARGETS.values()))
    used = {label for label in every if label.startswith("@")}
    assert used
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
        [*command, "--mode=check", "--lint=warn", *map(str, build_paths()), "MODULE.bazel"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
