"""StableHLO files of a small network: the network's scores, what describes them, and what damage says."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from official_vision import extras, files
from official_vision.errors import UserError
from official_vision.modeling.inference.inference_network import inference_network
from official_vision.serving.export.converters import stablehlo_file
from official_vision.serving.export.held_out_clips import HeldOutClips, network_scores
from official_vision.serving.export.isolated_process import stablehlo_scores
from tests.modeling import small

FRAMES, SIZE = 4, 24


def clips() -> HeldOutClips:
    generator = np.random.default_rng(0)
    shape = (2, FRAMES, SIZE, SIZE)
    rgb = generator.integers(0, 256, (*shape, 3)).astype(np.uint8)
    ids = generator.integers(0, small.OBJECTS, shape).astype(np.uint8)
    return HeldOutClips({"rgb": rgb, "objects": ids}, np.zeros((2, small.CLASSES), np.float32))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A network that computes flow, and the path of its program."""
    path = tmp_path_factory.mktemp("stablehlo") / "model.stablehlo"
    model = small.network(small.architecture(peers=True), flow_source="computed")
    network = inference_network(model, discrete=False)
    assert stablehlo_file.write(path, network, clips()) > path.stat().st_size
    return network, path


@pytest.mark.slow
def test_scores_are_the_networks(written) -> None:
    network, path = written
    run, shapes = stablehlo_file.load(path)
    assert shapes == {"rgb": (1, FRAMES, SIZE, SIZE, 3), "objects": (1, FRAMES, SIZE, SIZE)}
    expected = network_scores(network, clips())
    results = [run(clips().clip(number)) for number in range(2)]
    for name, values in expected.items():
        actual = np.concatenate([result[name] for result in results])
        np.testing.assert_allclose(actual, values, atol=1e-5)
        assert np.abs(values[0] - values[1]).max() > 1e-3  # another clip would be noticed


def test_its_signature_names_every_axis(written) -> None:
    signature = files.read_json(written[1].with_name("model.stablehlo.json"))
    axes = {each["name"]: each["axes"] for each in (*signature["inputs"], *signature["results"])}
    assert axes == {
        "objects": ["batch", "time", "height", "width"],
        "rgb": ["batch", "time", "height", "width", "channels"],
        "scores": ["batch", "classes"],
        "frame_scores": ["batch", "time", "classes"],
    }
    dtypes = {each["name"]: each["dtype"] for each in signature["inputs"]}
    assert dtypes == {"objects": "uint8", "rgb": "uint8"}
    with np.load(written[1].with_name(signature["weights_file"])) as weights:
        shapes = {each["name"]: tuple(each["shape"]) for each in signature["weights"]}
        assert {name: weights[name].shape for name in weights.files} == shapes


def test_damage_is_one_line(written, tmp_path: Path) -> None:
    for path in written[1].parent.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    program = tmp_path / "model.stablehlo"
    program.write_bytes(program.read_bytes()[:1000])
    with pytest.raises(ValueError, match="UNKNOWN") as caught:
        stablehlo_file.load(program)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"must load with JAX alone\. Received: ") as caught:
        stablehlo_scores(program, clips())
    assert "\n" not in str(caught.value)


def test_a_network_that_xla_cannot_express_is_refused(monkeypatch, written, tmp_path: Path) -> None:
    def failing(*_) -> None:
        raise ValueError("no such operation: Snapshot\nand a long trace")

    monkeypatch.setattr(stablehlo_file, "to_program", failing)
    with pytest.raises(UserError, match=r"in StableHLO\. Received: no such operation: Snapshot\."):
        stablehlo_file.write(tmp_path / "model.stablehlo", written[0], clips())
    assert list(tmp_path.iterdir()) == []


def test_a_missing_or_wrong_jax_is_one_line(monkeypatch) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "jax", None)
        with pytest.raises(ModuleNotFoundError) as missing:
            extras.check_jax()
    assert "pip install 'official-vision[stablehlo]'" in extras.missing(missing.value, "export")

    def incompatible(_name: str) -> None:
        raise RuntimeError("jaxlib version 0.4 is newer than jax\nand more")

    monkeypatch.setattr(importlib, "import_module", incompatible)
    with pytest.raises(UserError) as caught:
        extras.check_jax()
    assert str(caught.value) == (
        "--stablehlo needs a JAX that starts. Received: jaxlib version 0.4 is newer than jax. "
        "Install it anew: pip install 'official-vision[stablehlo]'."
    )
