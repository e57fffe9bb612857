"""Generates every BUILD file from the imports of the Python files: one package per folder.

A library is one module, or a package whose __init__.py imports modules of its folder, with those
modules. An __init__.py that imports nothing is a source of each library of its folder: Bazel makes
those of folders above where they are missing. Visibility states the table MAY_IMPORT of
tests/repository/test_layers.py. The result depends on the files alone and is in buildifier's format:

    python tools/update_build.py
"""

from __future__ import annotations

import ast
import re
import runpy
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from official_vision import cli, files
from official_vision.errors import UserError

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = "official_vision"
FOLDERS = (PACKAGE, "tools", "tests")
LAYERS = "tests/repository/test_layers.py"
# pytest on one file: Bazel starts a test by running a file, and running a test file tests nothing.
TEST_MAIN = "tests/run_pytest.py"

# Imported name -> distribution, where they differ by more than letter case, "-" and "_".
DISTRIBUTIONS = {
    "absl": "absl-py",
    "cv2": "opencv-python-headless",
    "gin": "gin-config",
    "grpc": "grpcio",
    "mlflow": "mlflow-skinny",
    "official": "tf-models-official",
    "orbit": "tf-models-official",  # of the same wheel
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "tensorflow_serving": "tensorflow-serving-api",
    "yaml": "pyyaml",
}

_HEAD = (
    '"""Written by tools/update_build.py from the files\' imports: run it, never edit this."""\n'
)
_LOAD = 'load("@rules_python//python:{kind}.bzl", "{kind}")\n'
_EVERYWHERE = "//:__subpackages__"
_ROOT = f"""package(default_visibility = ["{_EVERYWHERE}"])

exports_files(["pyproject.toml"])

filegroup(
    name = "gin_configs",
    srcs = glob(["gin_configs/**"]),
)
"""
# Every file of a folder and of those below it, for tests that read the whole repository.
_ALL_FILES = """filegroup(
    name = "all_files",
    srcs = glob(
        ["**"],
        exclude = {exclude},
    ){below},
    visibility = ["//:__subpackages__"],
)
"""
_ASSETS = """filegroup(
    name = "assets",
    srcs = glob(["assets/**"]),
)
"""
_EXPORTS = f'exports_files(["{TEST_MAIN.rpartition("/")[2]}"])\n'
_DATA_OF_TESTS = ["//:gin_configs", "//:pyproject.toml"]
_NOT_SOURCES = ["**/*.pyc"]
_FOLDERS_OF_RUNS = (".cache", ".git", ".venv*", "bazel-*", "demo", "results", "site")
_NOT_SOURCES_OF_ROOT = [*_NOT_SOURCES, *(f"{folder}/**" for folder in _FOLDERS_OF_RUNS)]


def build_files(repository: Path) -> dict[str, str]:
    """Returns the whole text of each BUILD file, by its path relative to the repository.

    Raises:
      UserError: a file is not Python, modules or targets import each other in a circle, or a part
        of the package has no place in the table of layers.
    """
    targets = Targets(Sources(repository))
    folders = {path.parent for path in map(PurePosixPath, targets.sources.paths)}
    folders |= {above for folder in folders for above in folder.parents}
    texts = {str(folder / "BUILD"): _build_file(targets, folder, folders) for folder in folders}
    return dict(sorted(texts.items()))


class Sources:
    """The Python files of a repository and what each one imports.

    Attributes:
      repository: its folder.
      paths: the files in order of name, relative to the repository, with forward slashes.
      imported: path -> paths of files, and distributions with an "@" before the name.
      layers: part of the package -> parts that it may import, as in LAYERS.
    """

    def __init__(self, repository: Path):
        self.repository = repository
        every = (path for folder in FOLDERS for path in (repository / folder).rglob("*.py"))
        self.paths = sorted(path.relative_to(repository).as_posix() for path in every)
        self._known = set(self.paths)
        self._trees = {path: self._parse(path) for path in self.paths}
        self.imported = {path: self._imports_of(path) for path in self.paths}
        self.layers = runpy.run_path(str(repository / LAYERS))["MAY_IMPORT"]
        for path in self.paths:
            if path in reach(self.imported, path):
                raise _circle(path)

    def takes(self, path: str, fixture: str) -> bool:
        """Returns whether a function in the file has an argument called `fixture`."""
        nodes = ast.walk(self._trees[path])
        return any(isinstance(node, ast.arg) and node.arg == fixture for node in nodes)

    def marks(self, path: str, mark: str) -> bool:
        """Returns whether the file uses `pytest.mark.<mark>`."""
        nodes = ast.walk(self._trees[path])
        return any(isinstance(node, ast.Attribute) and node.attr == mark for node in nodes)

    def has_assets(self, folder: PurePosixPath) -> bool:
        """Returns whether the folder has one of assets, which its modules may read."""
        return (self.repository / folder / "assets").is_dir()

    def _parse(self, path: str) -> ast.Module:
        try:
            tree = ast.parse((self.repository / path).read_text(encoding="utf-8"), path)
        except SyntaxError as error:
            raise UserError(
                f"BUILD is made from Python files. Received: {path}, line {error.lineno}: "
                f"{error.msg}. Mend that file first."
            ) from error
        if path.endswith("__init__.py"):  # which imports lazily what type checkers see imported
            tree.body = [node for node in tree.body if not isinstance(node, ast.If)]
        return tree

    def _imports_of(self, path: str) -> set[str]:
        """Returns repository files and distributions that a file imports, or starts as a program."""
        needed = set()
        for name in _imported_names(self._trees[path]):
            module, *above = name.split(" ")
            needed |= self._resolve(module) or set().union(*map(self._resolve, above))
        for text in _strings(self._trees[path]) if path.startswith("tests/") else ():
            programs = {*re.findall(r"\b(?:tools|tests)/[\w/]+\.py\b", text), _path_of(text)}
            needed |= programs & self._known
        return needed - {path}

    def _resolve(self, module: str) -> set[str]:
        """Returns the file of a dotted module name, or the distribution of one from elsewhere."""
        base = module.replace(".", "/")
        for path in (f"{base}.py", f"{base}/__init__.py"):
            if path in self._known:
                return {path}
        top = module.split(".")[0]
        if top in FOLDERS or top in sys.stdlib_module_names:
            return set()
        return {f"@{_distribution(top)}"}


class Targets:
    """The targets of the files; each is written as "folder:name".

    Attributes:
      sources: the files.
      members: target -> its source files.
      dependencies: target -> targets, and distributions with an "@" before the name.
    """

    def __init__(self, sources: Sources):
        self.sources = sources
        self._target_of = self._grouped()
        self.members: dict[str, list[str]] = {}
        for path, target in sorted(self._target_of.items()):
            self.members.setdefault(target, []).append(path)
        self.dependencies = {target: self._needs(target) for target in self.members}
        for target, paths in self.members.items():
            if target in reach(self.dependencies, target):
                raise _circle(paths[0])
            init = str(PurePosixPath(paths[0]).with_name("__init__.py"))
            if init in sources.imported and init not in self._target_of:
                paths.append(init)

    def _grouped(self) -> dict[str, str]:
        """Groups files into targets; a module that its package's __init__ needs belongs to the package's target."""
        target_of = {}
        for path in map(PurePosixPath, self.sources.paths):
            needed = reach(self.sources.imported, str(path))
            if path.name != "__init__.py" and str(path) != TEST_MAIN:
                target_of.setdefault(str(path), f"{path.parent}:{path.stem}")
            elif path.name == "__init__.py" and needed:
                for item in map(PurePosixPath, {str(path), *needed}):
                    if item.parent == path.parent:
                        target_of[str(item)] = f"{path.parent}:{path.parent.name}"
        return target_of

    def _needs(self, target: str) -> set[str]:
        needed = set()
        for path in self.members[target]:
            needed |= self.sources.imported[path] | self._run_before(path)
        known = {item for item in needed if item in self._target_of}
        others = {item for item in needed if item.startswith("@")}
        return others | {self._target_of[item] for item in known} - {target}

    def _run_before(self, path: str) -> set[str]:
        """Returns the files that run before this one: its packages' __init__, and for tests every conftest."""
        name = "conftest.py" if path.startswith("tests/") else "__init__.py"
        above = {f"{folder}/{name}" for folder in PurePosixPath(path).parents[:-1]} - {path}
        return {item for item in above if path not in reach(self.sources.imported, item)}


def reach(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Returns all that can be reached from `start`, including `start` in an import cycle."""
    reached, front = set(), [start]
    while front:
        for item in graph.get(front.pop(), ()):
            if item not in reached:
                reached.add(item)
                front.append(item)
    return reached


def _circle(path: str) -> UserError:
    return UserError(
        f"Modules may not import each other in a circle. Received: {path}, which "
        "imports itself through others. Move what both need into a third module."
    )


def _distribution(top: str) -> str:
    return re.sub(r"[-_.]+", "_", DISTRIBUTIONS.get(top, top)).lower()


def _imported_names(tree: ast.Module) -> Iterator[str]:
    """Yields module names; "a.b.c a.b" where c is either a module of the package a.b or a name in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name} {node.module}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def _path_of(text: str) -> str:
    """Returns the file that `python -m` runs, of a test's program."""
    return f"{text.replace('.', '/')}.py" if text.startswith("tests.") else ""


def _strings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _build_file(targets: Targets, folder: PurePosixPath, folders: set[PurePosixPath]) -> str:
    rules = [_rule(targets, item) for item in targets.members if item.startswith(f"{folder}:")]
    kinds = sorted({rule.split("(", 1)[0] for rule in rules})
    below = {f"{item}:all_files" for item in folders if item.parent == folder != item}
    statements = [
        "".join(_LOAD.format(kind=kind) for kind in kinds),
        _package(targets.sources, folder) if folder.name else _ROOT,
        _ALL_FILES.format(
            exclude=_value(_NOT_SOURCES if folder.name else _NOT_SOURCES_OF_ROOT, 8),
            below=f" + {_value(_labels(below, str(folder)))}" if below else "",
        ),
        _ASSETS if targets.sources.has_assets(folder) else "",
        _EXPORTS if folder == PurePosixPath(TEST_MAIN).parent else "",
        *rules,
    ]
    return "\n".join([_HEAD, *filter(None, statements)])


def _package(sources: Sources, folder: PurePosixPath) -> str:
    """Returns the visibility of a folder; at the top of the package, on each of its parts."""
    top, *below = folder.parts
    visible = {"tools": "//visibility:public", "tests": "//tests:__subpackages__"}
    if top == PACKAGE:
        visible[top] = f"//{PACKAGE}:{_group(sources, below[0])}" if below else _EVERYWHERE
    statement = f'package(default_visibility = ["{visible[top]}"])\n'
    if top == PACKAGE and not below:
        parts = [part for part in sources.layers if part != "__init__"]
        return "\n".join([statement, *(_package_group(sources, part) for part in parts)])
    return statement


def _package_group(sources: Sources, part: str) -> str:
    packages = {"//tests/...", "//tools/..."}
    for importer, imported in sources.layers.items():
        if part == importer or part in imported:
            is_file = f"{PACKAGE}/{importer}.py" in sources.paths
            packages.add(f"//{PACKAGE}" if is_file else f"//{PACKAGE}/{importer}/...")
    return _format("package_group", {"name": _group(sources, part), "packages": packages})


def _group(sources: Sources, part: str) -> str:
    if part not in sources.layers:
        raise UserError(
            f"Each part of the package has its place in MAY_IMPORT of {LAYERS}. "
            f"Received: {part}, which has none. Say there what it may import."
        )
    return f"importers_of_{part}"


def _rule(targets: Targets, target: str) -> str:
    folder, name = target.split(":")
    paths, needed = targets.members[target], targets.dependencies[target]
    fields: dict[str, object] = {
        "name": name,
        "srcs": [PurePosixPath(path).name for path in paths],
        "testonly": folder.startswith("tests"),
        "data": ["//:gin_configs"] if folder == "tools" else [],
        "deps": _labels(needed, folder),
    }
    if targets.sources.has_assets(PurePosixPath(folder)):
        fields["data"] = [":assets"]
    if folder == PACKAGE and name != PACKAGE:
        fields["visibility"] = [f":{_group(targets.sources, name)}"]
    if folder.startswith("tests") and name.startswith("test_"):
        return _format("py_test", fields | _test_fields(targets, target))
    return _format("py_binary" if folder == "tools" else "py_library", fields)


def _test_fields(targets: Targets, target: str) -> dict[str, object]:
    folder, name = target.split(":")
    runner = _labels({TEST_MAIN.replace("/", ":")}, folder)[0].lstrip(":")
    sources, path = targets.sources, targets.members[target][0]
    return {
        "testonly": False,  # as every test is
        "size": "large" if sources.marks(path, "slow") else "medium",
        "srcs": [f"{name}.py", runner],
        "args": [path],
        "main": runner,
        "data": ["//:all_files"] if folder.endswith(("/docs", "/repository")) else _DATA_OF_TESTS,
        "tags": ["requires-network"] if sources.takes(path, "footage") else [],
        "deps": _labels(targets.dependencies[target] | sources.imported[TEST_MAIN], folder),
    }


def _labels(targets: Iterable[str], folder: str) -> list[str]:
    """Returns labels as they are written in the BUILD file of `folder`, in their shortest form."""
    labels = []
    for target in targets:
        home, _, name = target.partition(":")
        if target.startswith("@"):
            labels.append(f"@pypi//{target[1:]}")
        elif home == folder:
            labels.append(f":{name}")
        else:
            labels.append(f"//{home}" if PurePosixPath(home).name == name else f"//{home}:{name}")
    return labels


def _format(kind: str, fields: Mapping[str, object]) -> str:
    order = ["name", "size", "testonly", "srcs", "args", "data", "main", "packages", "tags"]
    order += ["visibility", "deps"]
    lines = [f"    {key} = {_value(fields[key])},\n" for key in order if fields.get(key)]
    return f"{kind}(\n{''.join(lines)})\n"


def _value(value: object, indent: int = 4) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value)
    items = [f'"{item}"' for item in sorted(value, key=_order)]
    if len(items) < 2:
        return f"[{''.join(items)}]"
    space = " " * indent
    return "[\n" + "".join(f"{space}    {item},\n" for item in items) + f"{space}]"


def _order(label: str) -> tuple[int, list[str]]:
    """Sorts as buildifier: files, then labels of this file, of this repository and of others."""
    phase = {":": 1, "/": 2, "@": 3}.get(label[0], 0)
    return phase, label.replace(":", ".").split(".")


def main() -> None:
    """Writes the BUILD files, and removes those of folders without Python files."""
    texts = build_files(REPOSITORY)
    for path, text in texts.items():
        files.write_text(REPOSITORY / path, text)
    for folder in FOLDERS:
        for path in (REPOSITORY / folder).rglob("BUILD"):
            if path.relative_to(REPOSITORY).as_posix() not in texts:
                path.unlink()


if __name__ == "__main__":
    cli.run(main)
