"""A real Bazel reads the BUILD files: they are right, and they stop being right as soon as one is not."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from official_vision.errors import UserError
from tools import check_bazel

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[check_bazel.Workspace]:
    if not check_bazel.available():
        missing = f"no {check_bazel.BAZEL} with rules_java on this machine"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    with check_bazel.workspace(tmp_path_factory.mktemp("bazel")) as made:
        yield made


@contextlib.contextmanager
def changed(path: Path, target: str, old: str, new: str) -> Iterator[None]:
    """Changes a text that occurs once in the rule of a target, within the block."""
    text = path.read_text()
    (rule,) = (item for item in text.split("\n\n") if f'name = "{target}",' in item)
    assert rule.count(old) == 1
    path.write_text(text.replace(rule, rule.replace(old, new)))
    yield
    path.write_text(text)


def test_bazel_loads_and_analyses_every_target(workspace: check_bazel.Workspace) -> None:
    rules = [
        rule
        for folder in ("official_vision", "tests", "tools")
        for path in (REPOSITORY / folder).rglob("BUILD")
        for rule in re.findall(r"^py_\w+\(", path.read_text(), re.MULTILINE)
    ]
    assert len(workspace.targets()) == len(rules) > 400
    workspace.analyse("//...")


def test_quick_tests_pass_in_the_sandbox(workspace: check_bazel.Workspace) -> None:
    assert set(workspace.test(*check_bazel.QUICK_TESTS)) == set(check_bazel.QUICK_TESTS)


def test_an_import_against_the_layers_is_refused(workspace: check_bazel.Workspace) -> None:
    build = workspace.root / "official_vision" / "modeling" / "BUILD"
    beside = '    deps = [\n        "//official_vision/data:optical_flow",\n'
    with (
        changed(build, "head", "    deps = [\n", beside),
        pytest.raises(UserError, match="'//official_vision/data:optical_flow' is not visible"),
    ):
        workspace.analyse("//official_vision/modeling:head")


def test_a_missing_dependency_fails_in_the_sandbox(workspace: check_bazel.Workspace) -> None:
    build = workspace.root / "tests" / "BUILD"
    with (
        changed(build, "test_names", '        "//official_vision:names",\n', ""),
        pytest.raises(UserError, match=r"cannot import name 'names'|No module named"),
    ):
        workspace.test("//tests:test_names")
