"""ONNX and StableHLO files: scores of the network for any batch, by their runtimes alone, and by what predicts."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import tf2onnx

from official_vision import files
from official_vision.errors import UserError
from official_vision.modeling.inference.inference_network import inference_network
from official_vision.serving.export.converters import onnx_file
from official_vision.serving.export.converters.onnx_file import OPSET
from official_vision.serving.export.exported_model import load_exported_model
from official_vision.serving.export.held_out_clips import HeldOutClips
from official_vision.serving.export.options import ExportOptions
from official_vision.serving.export.version_folder import export
from official_vision.serving.predict.predictor import Predictor
from tests.serving.export.test_version_folder import clip

FILES = {"ONNX": "model.onnx", "StableHLO": "model.stablehlo"}
each_file = pytest.mark.parametrize("name", FILES.values())
STREAMS = ("rgb", "flow", "objects")


@pytest.fixture(scope="module")
def version(run, tmp_path_factory):
    output = tmp_path_factory.mktemp("onnx")
    return export(run[0], output, options=ExportOptions(peers="all", onnx=True, stablehlo=True))


@pytest.mark.slow
def test_its_row_of_parity_is_small_and_written(version) -> None:
    for name, file in FILES.items():
        parity = version.parities[name]
        assert 0 <= parity.difference <= 1e-5
        beside = version.path.glob(f"{file}*")  # StableHLO's weights are a file of their own
        assert parity.size_bytes == sum(path.stat().st_size for path in beside)
        written = files.read_json(version.path / "parity.json")["files"]
        assert written[name] == parity.to_dict()


@pytest.mark.slow
@each_file
def test_any_batch_gets_the_scores_of_the_saved_model(version, name: str) -> None:
    saved, file = (load_exported_model(p) for p in (version.path, version.path / name))
    assert (file.frames, file.stems) == ((4,), ())
    for batch in (1, 3):
        streams = clip(batch, 4, 32, 32, seed=batch)
        expected, actual = saved(**streams), file(**streams)
        assert expected["scores"].shape == (batch, 4)
        for key in ("scores", "frame_scores"):
            np.testing.assert_allclose(actual[key], expected[key], atol=1e-5)
    other = clip(1, 4, 32, 32, seed=9)
    assert np.abs(file(**other)["scores"] - actual["scores"][:1]).max() > 1e-3
    with pytest.raises(UserError, match=rf"must be \[batch, 4, 32, 32, [23]\] for {name}"):
        file(**clip(1, 4, 48, 32))


@pytest.mark.slow
@each_file
def test_videos_are_predicted_as_by_the_saved_model(version, drifting, name: str) -> None:
    expected, actual = (
        Predictor(path).predict(drifting) for path in (version.path, version.path / name)
    )
    assert [segment.label for segment in actual.segments] == [
        segment.label for segment in expected.segments
    ]
    for key in ("scores", "frame_scores"):
        np.testing.assert_allclose(getattr(actual, key), getattr(expected, key), atol=1e-4)


@pytest.mark.slow
def test_the_file_is_a_valid_one_of_the_stated_opset(version) -> None:
    model = onnx.load(str(version.path / "model.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [OPSET]
    assert {value.name for value in model.graph.input} == set(STREAMS)
    first_axes = {
        value.type.tensor_type.shape.dim[0].dim_param
        for value in (*model.graph.input, *model.graph.output)
    }
    assert first_axes == {"batch"}


@pytest.mark.slow
def test_a_damaged_or_missing_file_is_one_line(version) -> None:
    path = version.path / "damaged.onnx"
    path.write_bytes((version.path / "model.onnx").read_bytes()[:1000])
    with pytest.raises(UserError, match=r"must be whole\. Received: .*damaged\.onnx") as caught:
        load_exported_model(path)
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(UserError, match="Export with --onnx first"):
        load_exported_model(path)


def test_a_network_that_the_converter_cannot_express_is_refused(monkeypatch, run) -> None:
    def failing(*_, **__):
        raise ValueError("no such operation: Snapshot\nand a long trace")

    monkeypatch.setattr(tf2onnx.convert, "from_function", failing)
    clips = HeldOutClips(clip(1, 4, 32, 32), np.zeros((1, 4), np.float32))
    with pytest.raises(UserError) as caught:
        onnx_file.convert(inference_network(run[1], discrete=False), clips)
    assert str(caught.value) == (
        "The network must be expressible in ONNX. Received: no such operation: Snapshot. "
        "Nothing was exported."
    )
