"""Writes BUILD anew from what the Python files import: a target a module, a command and a test.

The result depends on the files alone and is in buildifier's own format:

    python tools/update_build.py
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from official_vision import cli, files
from official_vision.errors import UserError

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDERS = ("official_vision", "tools", "tests")
# pytest on one file: Bazel starts a test by running a file, and running a test file tests nothing.
TEST_MAIN = "tests/run_pytest.py"

# Imported name -> distribution, where they differ by more than letter case, "-" and "_".
DISTRIBUTIONS = {
    "absl": "absl-py",
    "cv2": "opencv-python-headless",
    "gin": "gin-config",
    "grpc": "grpcio",
    "official": "tf-models-official",
    "orbit": "tf-models-official",  # of the same wheel
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "tensorflow_serving": "tensorflow-serving-api",
    "yaml": "pyyaml",
}

_LOAD = 'load("@rules_python//python:{kind}.bzl", "{kind}")\n'
_HEAD = '''"""Written by tools/update_build.py from the files' imports: run it, never edit this."""

{loads}
package(default_visibility = ["//visibility:public"])

filegroup(
    name = "gin_configs",
    srcs = glob(["gin_configs/**"]),
)

filegroup(
    name = "assets",
    srcs = glob([
        "official_vision/**/assets/**",
        "tests/**/assets/**",
    ]),
)

filegroup(
    name = "repository",
    srcs = glob(
        ["**"],
        exclude = [
            ".cache/**",
            ".git/**",
            ".venv/**",
            "bazel-*/**",
            "demo/**",
            "results/**",
        ],
    ),
)
'''


def build_text(repository: Path) -> str:
    """Returns the whole BUILD file for the Python files below `repository`.

    Raises:
      UserError: a file is not Python, or modules import each other in a circle.
    """
    sources = Sources(repository)
    rules = [_rule(sources, path) for path in sources.paths if path != TEST_MAIN]
    kinds = sorted({rule.split("(", 1)[0] for rule in rules})
    loads = "".join(_LOAD.format(kind=kind) for kind in kinds)
    return _HEAD.format(loads=loads) + "".join(f"\n{rule}" for rule in rules)


class Sources:
    """The Python files of a repository and what each one needs.

    Attributes:
      paths: the files in order of name, relative to the repository, with forward slashes.
    """

    def __init__(self, repository: Path):
        self._repository = repository
        found = (path for folder in FOLDERS for path in (repository / folder).rglob("*.py"))
        self.paths = sorted(path.relative_to(repository).as_posix() for path in found)
        self._known = set(self.paths)
        self._trees = {path: self._parse(path) for path in self.paths}
        self._imported = {path: self._imports_of(path) for path in self.paths}
        self._check_circles()

    def dependencies(self, path: str) -> set[str]:
        """Returns the labels that the target of `path` depends on."""
        needed = self._imported[path] | {
            ancestor for ancestor in self._ancestors(path) if path not in self._reach(ancestor)
        }
        return {self._label(item) for item in needed - {path}}

    def takes(self, path: str, fixture: str) -> bool:
        """Says whether a function in the file has an argument called `fixture`."""
        nodes = ast.walk(self._trees[path])
        return any(isinstance(node, ast.arg) and node.arg == fixture for node in nodes)

    def has_assets(self, path: str) -> bool:
        """Says whether the file lies beside a folder of assets, which it may read."""
        return (self._repository / path).with_name("assets").is_dir()

    def marks(self, path: str, mark: str) -> bool:
        """Says whether the file uses `pytest.mark.<mark>`."""
        nodes = ast.walk(self._trees[path])
        return any(isinstance(node, ast.Attribute) and node.attr == mark for node in nodes)

    def _parse(self, path: str) -> ast.Module:
        try:
            return ast.parse((self._repository / path).read_text(encoding="utf-8"), path)
        except SyntaxError as error:
            raise UserError(
                f"BUILD is made from Python files. Received: {path}, line {error.lineno}: "
                f"{error.msg}. Mend that file first."
            ) from error

    def _imports_of(self, path: str) -> set[str]:
        """Repository files and distributions that a file imports, or starts as a command."""
        needed = set()
        for name in _imported_names(self._trees[path]):
            module, *above = name.split(" ")
            needed |= self._resolve(module) or set().union(*map(self._resolve, above))
        for text in _strings(self._trees[path]) if path.startswith("tests/") else ():
            needed |= set(re.findall(r"\btools/\w+\.py\b", text)) & self._known
        return needed - {path}

    def _resolve(self, module: str) -> set[str]:
        """The file of a dotted module name, or the distribution of one from elsewhere."""
        base = module.replace(".", "/")
        for path in (f"{base}.py", f"{base}/__init__.py"):
            if path in self._known:
                return {path}
        top = module.split(".")[0]
        if top in FOLDERS or top in sys.stdlib_module_names:
            return set()
        return {f"@{_distribution(top)}"}

    def _ancestors(self, path: str) -> set[str]:
        """Files that run before this one: its packages' __init__, and for tests every conftest."""
        name = "conftest.py" if path.startswith("tests/") else "__init__.py"
        above = {f"{folder.as_posix()}/{name}" for folder in Path(path).parents[:-1]}
        return above & self._known - {path}

    def _reach(self, start: str) -> set[str]:
        reached, front = set(), [start]
        while front:
            for item in self._imported.get(front.pop(), ()):
                if item not in reached:
                    reached.add(item)
                    front.append(item)
        return reached

    def _check_circles(self) -> None:
        for path in self.paths:
            if path in self._reach(path):
                raise UserError(
                    f"Modules may not import each other in a circle. Received: {path}, which "
                    "imports itself through others. Move what both need into a third module."
                )

    def _label(self, item: str) -> str:
        return f"@pypi//{item[1:]}" if item.startswith("@") else f":{item.removesuffix('.py')}"


def _distribution(top: str) -> str:
    return re.sub(r"[-_.]+", "_", DISTRIBUTIONS.get(top, top)).lower()


def _imported_names(tree: ast.Module) -> Iterator[str]:
    """Module names; "a.b.c a.b" where c is either a module of the package a.b or a name in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name} {node.module}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def _strings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _rule(sources: Sources, path: str) -> str:
    name = path.removesuffix(".py")
    fields: dict[str, object] = {"name": name, "srcs": [path]}
    if path.startswith("tests/") and Path(path).name.startswith("test_"):
        return _test_rule(sources, path, fields)
    if path.startswith("tests/"):
        fields["testonly"] = True
    if path.startswith("tools/"):
        fields["data"] = [":gin_configs"]
    if sources.has_assets(path):
        fields["data"] = [":assets"]
    fields["deps"] = sources.dependencies(path)
    return _format("py_binary" if path.startswith("tools/") else "py_library", fields)


def _test_rule(sources: Sources, path: str, fields: dict[str, object]) -> str:
    reads_all = path.startswith("tests/repository/")
    fields["size"] = "large" if sources.marks(path, "slow") else "medium"
    fields["srcs"] = [path, TEST_MAIN]
    fields["args"] = [path]
    fields["main"] = TEST_MAIN
    fields["data"] = [":repository"] if reads_all else [":gin_configs", "pyproject.toml"]
    fields["tags"] = ["requires-network"] if sources.takes(path, "footage") else []
    fields["deps"] = sources.dependencies(path) | sources.dependencies(TEST_MAIN)
    return _format("py_test", fields)


def _format(kind: str, fields: dict[str, object]) -> str:
    order = ["name", "size", "testonly", "srcs", "args", "data", "main", "tags", "deps"]
    lines = [f"    {key} = {_value(fields[key])},\n" for key in order if fields.get(key)]
    return f"{kind}(\n{''.join(lines)})\n"


def _value(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value)
    items = [f'"{item}"' for item in _sorted_labels(value)]
    if len(items) < 2:
        return f"[{''.join(items)}]"
    return "[\n" + "".join(f"        {item},\n" for item in items) + "    ]"


def _sorted_labels(labels: Iterable[str]) -> list[str]:
    """buildifier's order: files, then labels of this file, then those of other repositories."""

    def key(label: str) -> tuple[int, list[str]]:
        phase = {":": 1, "/": 2, "@": 3}.get(label[0], 0)
        return phase, label.replace(":", ".").split(".")

    return sorted(labels, key=key)


def main() -> None:
    """Writes BUILD."""
    files.write_text(REPOSITORY / "BUILD", build_text(REPOSITORY))


if __name__ == "__main__":
    cli.run(main)
