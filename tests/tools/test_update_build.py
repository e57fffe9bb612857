"""tools/update_build.py on small repositories made here; tests/repository checks the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from official_vision.errors import UserError
from tools.update_build import build_text


def make_repository(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def rules(text: str) -> dict[str, str]:
    """Name -> rule of each py_ target."""
    found = [rule for rule in text.split("\n\n") if rule.startswith("py_")]
    return {rule.split('"')[1]: rule.strip() for rule in found}


def test_rules_are_written_in_the_format_of_buildifier(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path,
        {
            "official_vision/__init__.py": "",
            "official_vision/flow.py": "import os\nimport cv2\nfrom official_vision import files\n",
            "official_vision/files.py": "import json\n",
        },
    )
    assert rules(build_text(repository))["official_vision/flow"] == (
        "py_library(\n"
        '    name = "official_vision/flow",\n'
        '    srcs = ["official_vision/flow.py"],\n'
        "    deps = [\n"
        '        ":official_vision/__init__",\n'
        '        ":official_vision/files",\n'
        '        "@pypi//opencv_python_headless",\n'
        "    ],\n"
        ")"
    )


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
    rule = rules(build_text(repository))["official_vision/a"]
    assert '":official_vision/b"' in rule
    assert '"@pypi//tensorflow_addons"' in rule


def test_a_package_that_lists_its_modules_makes_no_circle(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path,
        {
            "official_vision/readers/__init__.py": "from official_vision.readers.csv import read\n",
            "official_vision/readers/csv.py": "",
        },
    )
    found = rules(build_text(repository))
    assert '":official_vision/readers/csv"' in found["official_vision/readers/__init__"]
    assert "deps" not in found["official_vision/readers/csv"]


def test_a_test_depends_on_the_commands_it_starts_and_the_fixtures_above_it(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path,
        {
            "tools/train.py": "",
            "tests/conftest.py": "import pytest\n",
            "tests/run_pytest.py": "import pytest\n",
            "tests/e2e/test_train.py": (
                "@pytest.mark.slow\ndef test_train(footage):\n  run('tools/train.py')\n"
            ),
        },
    )
    rule = rules(build_text(repository))["tests/e2e/test_train"]
    assert rule.startswith("py_test(")
    for text in (
        'size = "large"',
        'main = "tests/run_pytest.py"',
        'args = ["tests/e2e/test_train.py"]',
        'tags = ["requires-network"]',
        '":tools/train"',
        '":tests/conftest"',
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
        build_text(repository)


def test_a_file_that_is_not_python_is_named(tmp_path: Path) -> None:
    repository = make_repository(tmp_path, {"official_vision/a.py": "x = 1\ndef (\n"})
    with pytest.raises(UserError, match=r"Received: official_vision/a\.py, line 2"):
        build_text(repository)
