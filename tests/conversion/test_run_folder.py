"""The folder of a conversion, read by what reads the folders of trained runs."""

import dataclasses
import json

import numpy as np
import pytest

from official_vision import config as configuration
from official_vision.conversion.coverage import Coverage, Weight
from official_vision.conversion.run_folder import write_run
from official_vision.errors import UserError
from official_vision.modeling.builder import build_model
from official_vision.specs import ModelSpec
from official_vision.training.checkpoints.learned_connectivity import learned_connectivity
from official_vision.training.checkpoints.restore import load_weights
from official_vision.training.clip_scoring import load_trained
from official_vision.training.run_folder.class_names import labels_of_run
from tests.training.runs import architecture

SPEC = ModelSpec(gate="self", num_classes=2, num_object_classes=4)
COVERAGE = Coverage(
    (Weight("node_00/spatial/kernel", "node_00", 588, "loaded", ("conv2d/kernel",)),)
)


@pytest.fixture(scope="module")
def model():
    made = build_model(SPEC, architecture())
    random = np.random.default_rng(0)
    for variable in made.weights:
        variable.assign(random.normal(size=variable.shape))
    return made


def settings():
    return dataclasses.replace(configuration.load([]), model=SPEC)


def test_the_folder_is_read_as_a_trained_run_s(model, tmp_path):
    output = tmp_path / "run"
    write_run(output, settings(), architecture(), model, COVERAGE, ("cat", "dog"))
    for which in ("best", "latest"):
        trained = load_trained(output, which)
        assert trained.step == 0
        assert trained.labels == ("cat", "dog") == labels_of_run(output)
        for variable, other in zip(model.weights, trained.model.weights, strict=True):
            np.testing.assert_array_equal(variable, other)
    strengths = learned_connectivity(output).strengths
    logits = model.blocks()[3].fusion.strength_logits.numpy().astype(np.float64)
    np.testing.assert_allclose(strengths[3], 1 / (1 + np.exp(-logits)), rtol=1e-6)
    other = build_model(SPEC, architecture())
    assert load_weights(other, str(output))[0].startswith("initialised 100 of 100 weights")
    np.testing.assert_array_equal(other.weights[0], model.weights[0])
    assert json.loads((output / "coverage.json").read_text())["parameters"]["loaded"] == 588
    assert (output / "coverage.txt").read_text().startswith("node ")
    # A configuration that builds the same graph again, for training that goes on in the folder.
    again = configuration.load([str(output / "config.gin")])
    assert build_model(again.model).architecture == architecture()
    assert again.train.model_dir == str(output)


def test_a_folder_moved_still_knows_its_checkpoints(model, tmp_path):
    write_run(tmp_path / "run", settings(), architecture(), model, COVERAGE)
    (tmp_path / "run").rename(tmp_path / "moved")
    trained = load_trained(tmp_path / "moved")
    assert trained.checkpoint == str(tmp_path / "moved" / "best" / "ckpt-0")
    assert trained.labels is None


def test_a_folder_in_use_and_labels_that_do_not_fit_are_refused(model, tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("")
    for name in ("used", "file"):
        with pytest.raises(UserError, match="--output must be a new or empty folder"):
            write_run(tmp_path / name, settings(), architecture(), model, COVERAGE)
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["notes.txt"]
    for labels, flaw in ((("a",), "1 names for 2"), (("a", "a"), "'a' twice"), (("a", ""), "''")):
        with pytest.raises(UserError, match=flaw):
            write_run(tmp_path / "run", settings(), architecture(), model, COVERAGE, labels)
    assert not (tmp_path / "run").exists()
    (tmp_path / "empty").mkdir()
    write_run(tmp_path / "empty", settings(), architecture(), model, COVERAGE)
    assert (tmp_path / "empty" / "architecture.json").is_file()


def test_settings_that_change_what_weights_mean_are_reported(model, tmp_path):
    output = tmp_path / "run"
    write_run(output, settings(), architecture(), model, COVERAGE, None)
    graph = dataclasses.replace(architecture(), convolution_padding="same")
    other = build_model(dataclasses.replace(SPEC, rgb_mean=0), graph)
    assert load_weights(other, str(output))[1:] == [
        "  note: convolution_padding was 'symmetric' where the weights were trained, is 'same' here",
        "  note: rgb_mean was 0.45 where the weights were trained, is 0.0 here",
    ]
    assert len(load_weights(model, str(output))) == 1
