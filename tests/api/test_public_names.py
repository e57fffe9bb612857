"""The package's face: what `import official_vision` offers, how soon, and that the API page lists all of it."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import official_vision as ov
import official_vision.api.networks
import official_vision.api.runs

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "api.md"


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    program = (
        "import sys, official_vision as ov; ov.__all__; dir(ov); ov.ModelSpec(depth=26); "
        "ov.load_architecture('assemblenet_50'); ov.estimate_cost('assemblenet_50'); "
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    heavy = {"tensorflow", "tf_keras", "official", "matplotlib", "gin", "av", "cv2", "apache_beam"}
    assert not heavy & set(done.stdout.split())


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((REPOSITORY / "official_vision" / "__init__.py").read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module.removeprefix("official_vision.")
        for node in guarded.body
        for alias in node.names
        if node.module != "official_vision"
    }
    assert seen == ov._MODULE_OF
    assert {*seen, "layers", "UserError"} == {*ov.__all__}
    assert ov.__all__ == sorted(ov.__all__)
    assert (REPOSITORY / "official_vision" / "py.typed").is_file()


@pytest.mark.parametrize("name", ov.__all__)
def test_each_name_is_there_documented_and_typed(name: str) -> None:
    thing = getattr(ov, name)
    assert inspect.getdoc(thing), name
    assert name in dir(ov)
    if inspect.isfunction(thing):
        hints = inspect.signature(thing)
        assert hints.return_annotation is not inspect.Signature.empty
        for parameter in hints.parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty, f"{name}({parameter})"
            named = re.search(rf"\b{parameter.name}\b.*:", inspect.getdoc(thing))
            assert named, f"{name} does not document {parameter.name}"


def test_unknown_names_are_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match="build_modell"):
        _ = ov.build_modell


def signature_of(name: str) -> str:
    """As the page writes it: without annotations."""
    thing = getattr(ov, name)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(thing).parameters.values()
    ]
    return f"{name}{inspect.Signature(parameters)}"


def test_the_page_has_every_name_with_its_signature() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in ov.__all__:
        if name.endswith("Spec") or name in ("layers", "UserError"):
            assert f"`{name}`" in text or f"`ov.{name}`" in text, name
        else:
            assert f"`{signature_of(name)}`" in text, signature_of(name)
    for name in ov.layers.__all__:
        assert f"`{name}`" in text, name
    named = re.findall(r"`ov\.([A-Za-z_]+)", text)
    assert all(hasattr(ov, name) for name in named)


def test_examples_of_docstrings_run() -> None:
    counts = [
        doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
        for module in (official_vision.api.networks, official_vision.api.runs)
    ]
    assert [count.failed for count in counts] == [0, 0]
    assert sum(count.attempted for count in counts) >= 8


@pytest.mark.slow
def test_examples_of_the_page_run(tmp_path: Path) -> None:
    """Those that need no data: each block that is marked `python run`."""
    blocks = re.findall(r"```python run\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), {"folder": str(tmp_path)})
    assert list(tmp_path.iterdir())


def test_annotations_of_specs_are_real_types() -> None:
    assert typing.get_type_hints(ov.ModelSpec)["depth"] == int | None
