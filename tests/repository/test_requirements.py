"""requirements.txt pins everything that pyproject.toml needs, and is what is installed."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from official_vision.extras import EXTRA_OF

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no reader of pyproject.toml")

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
LOCK = (REPOSITORY / "requirements.txt").read_text()
PINS = [
    Requirement(line.split("  # via")[0]) for line in LOCK.splitlines() if not line.startswith("#")
]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def environment(python: str) -> dict[str, str]:
    return {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "extra": "",
    }


def applicable(requirements: list[Requirement], python: str) -> list[Requirement]:
    chosen = environment(python)
    return [item for item in requirements if item.marker is None or item.marker.evaluate(chosen)]


def declared() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]
    # An extra may name others of this package.
    return [Requirement(text) for text in texts if Requirement(text).name != PROJECT["name"]]


def pinned_version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    return specifier.version


def test_every_line_is_pinned() -> None:
    assert len(PINS) > 100
    for pin in PINS:
        assert pin.url is None
        assert [specifier.operator for specifier in pin.specifier] == ["=="], str(pin)
        assert "*" not in str(pin.specifier)


def test_the_header_names_the_command_that_writes_it() -> None:
    header = [line for line in LOCK.splitlines() if line.startswith("#")]
    assert header[-1].strip("# ") == "make lock"
    assert re.search(r"^lock:", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("python", PYTHONS)
def test_a_package_has_one_version_a_python(python: str) -> None:
    counts = Counter(canonicalize_name(pin.name) for pin in applicable(PINS, python))
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_declared_packages_are_pinned_within_their_range(python: str) -> None:
    pins = {canonicalize_name(pin.name): pin for pin in applicable(PINS, python)}
    for requirement in applicable(declared(), python):
        pin = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pinned_version(pin)), f"{requirement} and {pin}"


def test_supported_pythons_are_the_declared_ones() -> None:
    supported = Requirement(f"python{PROJECT['requires-python']}").specifier
    assert [python for python in ("3.9", *PYTHONS, "3.14") if f"{python}.1" in supported] == list(
        PYTHONS
    )


def test_addons_are_left_out_where_they_have_no_wheel() -> None:
    for requirements in (PINS, declared()):
        for python, count in {"3.10": 1, "3.11": 1, "3.12": 0, "3.13": 0}.items():
            names = [item.name for item in applicable(requirements, python)]
            assert names.count("tensorflow-addons") == count, python


def test_installed_versions_are_the_pinned_ones() -> None:
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    wrong = []
    for pin in applicable(PINS, python):
        if pin.marker is not None and not pin.marker.evaluate():
            continue  # for another system than this one
        try:
            version = importlib.metadata.version(pin.name)
        except importlib.metadata.PackageNotFoundError:
            version = None
        if version is None or not pin.specifier.contains(version, prereleases=True):
            wrong.append(f"{pin} is pinned, {version} is installed")
    assert not wrong, "run `make install`"


def imported_packages(folder: str) -> set[str]:
    """Distributions imported anywhere in a folder, by their normal names."""
    tops = set()
    for path in (REPOSITORY / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                tops |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                tops.add(node.module.split(".")[0])
    tops -= {*sys.stdlib_module_names, "official_vision", "tools", "tests"}
    installed = importlib.metadata.packages_distributions()
    return {canonicalize_name(name) for top in tops for name in installed.get(top, [top])}


@pytest.mark.parametrize("folder", ["official_vision", "tools", "tests"])
def test_imported_packages_are_declared(folder: str) -> None:
    names = {canonicalize_name(requirement.name) for requirement in declared()}
    assert imported_packages(folder) - names == set()


def test_messages_name_the_extra_that_has_a_package() -> None:
    installed = importlib.metadata.packages_distributions()
    extras = PROJECT["optional-dependencies"]
    for module, extra in EXTRA_OF.items():
        names = {canonicalize_name(Requirement(text).name) for text in extras[extra]}
        distributions = {canonicalize_name(name) for name in installed.get(module, [])}
        # tensorflow-addons has no wheel for Python 3.12.
        assert distributions & names or not distributions, module
    named = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    optional = imported_packages("official_vision") - named
    known = {canonicalize_name(name) for module in EXTRA_OF for name in installed.get(module, [])}
    assert optional <= known | {"tensorflow-addons"}


def test_all_is_every_extra_but_those_of_developers_and_gpus() -> None:
    (text,) = PROJECT["optional-dependencies"]["all"]
    rest = {"all", "dev", "docs", "gpu", "video"}
    assert Requirement(text).extras == {*PROJECT["optional-dependencies"]} - rest
