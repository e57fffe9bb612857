"""tools/update_build.py on small repositories made here; tests/repository checks the real one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from official_vision.errors import UserError
from tools.update_build import LAYERS, TEST_MAIN, build_files

TABLE = """MAY_IMPORT = {
    "a": set(), "b": {"a"}, "flow": {"a", "files"}, "files": set(), "lists": set()
}"""
EVERYWHERE = {LAYERS: TABLE, TEST_MAIN: "import pytest\n"}


def make_repository(folder: Path, files: dict[str, str]) -> Path:
    for name, text in (EVERYWHERE | files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def rules(repository: Path) -> dict[str, str]:
    """Absolute label -> rule of each statement that has a name."""
    labelled = {}
    for path, text in build_files(repository).items():
        folder = path.removesuffix("BUILD").rstrip("/")
        for rule in text.split("\n\n"):
            if name := re.search(r'^    name = "(.*)",$', rule, re.MULTILINE):
                labelled[f"//{folder}:{name[1]}"] = rule.strip()
    return labelled


def test_rules_are_written_in_the_format_of_buildifier(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path,
        {
            "official_vision/flow/__init__.py": '"""Says what it is."""',
            "official_vision/flow/flow.py": "import os\nimport cv2\nfrom official_vision import files\n"
            "from official_vision.flow import solve\n",
            "official_vision/flow/solve.py": "",
            "official_vision/files.py": "import json\n",
        },
    )
    assert rules(repository)["//official_vision/flow:flow"] == (
        "py_library(\n"
        '    name = "flow",\n'
        "    srcs = [\n"
        '        "__init__.py",\n'
        '        "flow.py",\n'
        "    ],\n"
        "    deps = [\n"
        '        ":solve",\n'
        '        "//official_vision:files",\n'
        '        "@pypi//opencv_python_headless",\n'
        "    ],\n"
        ")"
    )
    assert build_files(repository)["official_vision/flow/BUILD"].splitlines()[4] == (
        'package(default_visibility = ["//official_vision:importers_of_flow"])'
    )


def test_every_folder_has_a_file_and_names_all_below_it(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"official_vision/a/deep/down.py": ""})
    assert set(build_files(repository)) == {
        f"{folder}BUILD"
        for folder in (
            "",
            "official_vision/",
            "official_vision/a/",
            "official_vision/a/deep/",
            "tests/",
            "tests/repository/",
        )
    }
    every = rules(repository)
    assert '"//official_vision:all_files"' in every["//:all_files"]
    assert '"//tests:all_files"' in every["//:all_files"]
    assert '+ ["//official_vision/a/deep:all_files"]' in every["//official_vision/a:all_files"]


def test_imports_are_found_wherever_they_stand(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path,
        {
            "official_vision/a.py": (
                "import importlib\n"
                "def late():\n  from official_vision.b import name\n"
                "def by_name():\n  importlib.import_module('tensorflow_addons')\n"
            ),
            "official_vision/b.py": "",
        },
    )
    rule = rules(repository)["//official_vision:a"]
    assert '":b"' in rule
    assert '"@pypi//tensorflow_addons"' in rule


def test_a_package_that_lists_its_modules_is_one_target_with_them(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path,
        {
            "official_vision/lists/__init__.py": "from official_vision.lists.csv import read\n",
            "official_vision/lists/csv.py": "from official_vision.lists import text\n",
            "official_vision/lists/text.py": "import numpy\n",
            "official_vision/lists/other.py": "from official_vision.lists import text\n",
        },
    )
    every = rules(repository)
    assert every["//official_vision/lists:lists"] == (
        "py_library(\n"
        '    name = "lists",\n'
        "    srcs = [\n"
        '        "__init__.py",\n'
        '        "csv.py",\n'
        '        "text.py",\n'
        "    ],\n"
        '    deps = ["@pypi//numpy"],\n'
        ")"
    )
    assert 'srcs = ["other.py"]' in every["//official_vision/lists:other"]
    assert 'deps = [":lists"]' in every["//official_vision/lists:other"]


def test_targets_in_a_circle_are_refused_though_their_files_make_none(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path,
        {
            "official_vision/lists/__init__.py": "from official_vision.a import x\n"
            "from official_vision.lists import text\n",
            "official_vision/lists/text.py": "",
            "official_vision/a.py": "from official_vision.lists.text import y\n",
        },
    )
    with pytest.raises(UserError, match="circle"):
        build_files(repository)


def test_a_part_is_visible_to_those_that_may_import_it(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path,
        {"official_vision/a.py": "", "official_vision/b/x.py": "", "official_vision/flow.py": ""},
    )
    every = rules(repository)
    assert 'visibility = [":importers_of_a"]' in every["//official_vision:a"]
    assert every["//official_vision:importers_of_a"] == (
        "package_group(\n"
        '    name = "importers_of_a",\n'
        "    packages = [\n"
        '        "//official_vision",\n'
        '        "//official_vision/b/...",\n'
        '        "//tests/...",\n'
        '        "//tools/...",\n'
        "    ],\n"
        ")"
    )


def test_a_part_without_a_place_among_the_layers_is_refused(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"official_vision/strange/x.py": ""})
    with pytest.raises(UserError, match=r"MAY_IMPORT.* Received: strange"):
        build_files(repository)


def test_a_test_depends_on_the_commands_it_starts_and_the_fixtures_above_it(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path,
        {
            "tools/train.py": "",
            "tests/conftest.py": "import pytest\n",
            "tests/e2e/test_train.py": (
                "@pytest.mark.slow\ndef test_train(footage):\n  run('tools/train.py')\n"
            ),
        },
    )
    rule = rules(repository)["//tests/e2e:test_train"]
    assert rule.startswith("py_test(")
    for text in (
        'size = "large"',
        'main = "//tests:run_pytest.py"',
        'args = ["tests/e2e/test_train.py"]',
        'tags = ["requires-network"]',
        '"//tools:train"',
        '"//tests:conftest"',
        '"@pypi//pytest"',
    ):
        assert text in rule


def test_a_circle_is_refused(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path,
        {
            "official_vision/a.py": "import official_vision.b\n",
            "official_vision/b.py": "def late():\n  import official_vision.a\n",
        },
    )
    with pytest.raises(UserError, match=r"circle.* Received: official_vision/a\.py"):
        build_files(repository)


def test_a_file_that_is_not_python_is_named(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"official_vision/a.py": "x = 1\ndef (\n"})
    with pytest.raises(UserError, match=r"Received: official_vision/a\.py, line 2"):
        build_files(repository)
