"""Exported runs: what is written, that it answers as the network does, and that failures leave nothing."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from official_vision import files
from official_vision.errors import UserError
from official_vision.serving import export as exporting
from official_vision.serving.export import export
from official_vision.serving.predict import Predictor
from official_vision.specs import PrepareSpec
from tests.serving import exports

# Fails where anything imports our code or Keras; prints each size's scores.
STRANGER = """
import json, sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tf_keras", "official_vision", "official"):
            raise ImportError(f"{name} must not be needed")
sys.meta_path.insert(0, Forbidden())
import numpy as np
import tensorflow as tf
folder, clips = sys.argv[1:]
loaded = tf.saved_model.load(folder)
serve = loaded.signatures["serving_default"]
answers = []
clips = np.load(clips, allow_pickle=False)
for size in sorted({name.split("-")[1] for name in clips}):
    clip = {stream: tf.constant(clips[f"{stream}-{size}"]) for stream in ("rgb", "flow", "objects")}
    answer = serve(**clip)
    answers.append({
        "size": size,
        "scores": answer["scores"].numpy().tolist(),
        "frame_scores": answer["frame_scores"].numpy().tolist(),
        "labels": [label.decode() for label in answer["labels"].numpy()],
    })
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def split(brightening, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "validation"
    exports.write_split(folder, [brightening], PrepareSpec(short_side=32))
    return folder


@pytest.fixture(scope="module")
def run(split, tmp_path_factory):
    """A run's folder and its network."""
    folder = tmp_path_factory.mktemp("run")
    index = exporting.Index.read(split)
    return folder, exports.write_run(folder, split, index.fingerprint)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """The first version, and the folder of versions."""
    output = tmp_path_factory.mktemp("export")
    return export(run[0], output), output


def clip(batch, frames, height, width, seed=0):
    generator = np.random.default_rng(seed)
    shape = (batch, frames, height, width)
    return {
        "rgb": generator.integers(0, 256, (*shape, 3)).astype(np.uint8),
        "flow": generator.normal(0, 2, (*shape, 2)).astype(np.float32),
        "objects": generator.integers(0, 8, shape).astype(np.uint8),
    }


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x)))


def test_a_version_holds_its_labels_and_how_it_is_fed(exported, split):
    version, output = exported
    assert version.path == output / "1"
    assets = version.path / "assets"
    assert (assets / "labels.txt").read_text() == "bright\nlate\nrightwards\nlabelled\n"
    described = json.loads((assets / "model.json").read_text())
    assert described["streams"] == ["rgb", "flow", "objects"]
    assert described["labels"] == list(exports.LABELS)
    assert described["object_classes"][:2] == ["none", "full body"]
    assert described["clip"] == {
        "frames": 4,
        "frame_stride": 1,
        "size": 32,
        "short_video": "loop",
    }
    assert described["preparation"] == {
        "short_side": 32,
        "fps": None,
        "flow": "dis",
        "flow_bound": 20.0,
        "objects": "opencv",
    }
    assert described["model"]["num_classes"] == 4
    assert described["architecture"]["name"] == "tiny"
    assert described["checkpoint"]["step"] == 7
    assert described["data_fingerprint"] == exporting.Index.read(split).fingerprint
    # Nothing else is left in the version's folder or beside it.
    assert sorted(path.name for path in output.iterdir()) == ["1"]
    names = {path.name for path in version.path.iterdir()}
    assert names <= {"assets", "variables", "saved_model.pb", "fingerprint.pb"}


def test_the_difference_that_is_reported_is_tiny_and_real(exported):
    """Scores of random weights lie apart, so that a wrong file would differ by much more."""
    assert 0 <= exported[0].difference <= 1e-5


def test_versions_count_on_and_a_checkpoint_can_be_named(run, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_difference_when_loaded_afresh", lambda *_: 0.0)
    for name in ("1", "9", "notes"):
        (tmp_path / name).mkdir()
    path = tf.train.latest_checkpoint(str(run[0] / "best"))
    version = export(run[0], tmp_path, path).path
    assert version == tmp_path / "10"
    described = files.read_json(version / "assets" / "model.json")
    assert described["checkpoint"] == {"path": path, "step": 7}


@pytest.mark.slow
def test_a_stranger_gets_the_networks_scores_at_any_size(exported, run, tmp_path):
    sizes = {"1x4x32x32": (1, 4, 32, 32), "3x2x48x64": (3, 2, 48, 64), "2x1x80x33": (2, 1, 80, 33)}
    clips = {size: clip(*shape) for size, shape in sizes.items()}
    path = tmp_path / "clips.npz"
    np.savez(path, **{f"{s}-{size}": x for size, own in clips.items() for s, x in own.items()})
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, str(exported[0].path), str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout)
    assert {answer["size"] for answer in answers} == set(sizes)
    for answer in answers:
        own = {name: tf.constant(x) for name, x in clips[answer["size"]].items()}
        expected = run[1](own, training=False)
        np.testing.assert_allclose(answer["scores"], sigmoid(expected["logits"]), atol=1e-5)
        np.testing.assert_allclose(
            answer["frame_scores"], sigmoid(expected["frame_logits"]), atol=1e-5
        )
        assert answer["labels"] == list(exports.LABELS)
    spread = np.concatenate([np.ravel(answer["frame_scores"]) for answer in answers])
    assert np.std(spread) > 1e-3  # constant answers would agree without meaning anything


def test_predictions_are_the_networks_own(exported, run, brightening):
    predictor = Predictor(exported[1])
    fed, serve = [], predictor._serve
    predictor._serve = lambda **features: (fed.append(features), serve(**features))[1]
    result = predictor.predict(brightening, stride=4, batch_size=1)
    logits = np.concatenate([run[1](features, training=False)["logits"] for features in fed])
    np.testing.assert_allclose(result.scores, sigmoid(logits).mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("difference", [1e-3, float("nan")])
def test_a_file_that_answers_otherwise_is_not_kept(run, tmp_path, monkeypatch, difference):
    monkeypatch.setattr(exporting, "_difference_when_loaded_afresh", lambda *_: difference)
    with pytest.raises(UserError, match="must answer as the model does"):
        export(run[0], tmp_path / "export")
    assert list((tmp_path / "export").iterdir()) == []


def test_a_difference_in_any_score_counts(run, tmp_path, monkeypatch):
    def answer(changed, by):
        def answer_of_a_stranger(_, streams):
            own = run[1]({name: tf.constant(x) for name, x in streams.items()}, training=False)
            scores = {
                "scores": sigmoid(own["logits"]),
                "frame_scores": sigmoid(own["frame_logits"]),
            }
            scores[changed].flat[-1] += by
            return scores

        return answer_of_a_stranger

    for name, by in (("scores", 0.01), ("frame_scores", 0.01), ("frame_scores", float("nan"))):
        monkeypatch.setattr(exporting, "_answer_of_a_stranger", answer(name, by))
        found = exporting._difference_when_loaded_afresh(run[1], tmp_path)
        np.testing.assert_allclose(found, by, atol=1e-5)


def test_a_file_that_does_not_load_is_not_kept(run, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_STRANGER", "import sys; sys.exit('no such op: Mystery')")
    with pytest.raises(UserError, match=r"Received: no such op: Mystery\. Nothing") as caught:
        export(run[0], tmp_path / "export")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "export").iterdir()) == []
    monkeypatch.setattr(exporting, "_STRANGER", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(UserError, match="Received: exit status -9"):
        export(run[0], tmp_path / "export")
    assert list((tmp_path / "export").iterdir()) == []


def test_an_interruption_leaves_nothing(run, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    for name in ("_difference_when_loaded_afresh", "ServingModule"):
        with monkeypatch.context() as patched:
            patched.setattr(exporting, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                export(run[0], tmp_path / "export")
        assert list((tmp_path / "export").iterdir()) == []


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds none"):
        export(tmp_path, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_a_run_without_that_checkpoint_is_refused(run, tmp_path):
    with pytest.raises(UserError, match="'latest'"):
        export(run[0], tmp_path / "export", "latest")
    assert not (tmp_path / "export").exists()


def test_data_prepared_anew_is_refused(tmp_path, brightening, split):
    """Its classes may stand in another order: labels would be wrong without a sign of it."""
    anew = tmp_path / "anew"
    exports.write_split(anew, [brightening], PrepareSpec(short_side=32), exports.LABELS[::-1])
    exports.write_run(tmp_path / "run", anew, exporting.Index.read(split).fingerprint)
    with pytest.raises(UserError, match="prepared anew"):
        export(tmp_path / "run", tmp_path / "export")
    assert not (tmp_path / "export").exists()


@pytest.mark.slow
def test_saved_model_cli_shows_the_signature(exported):
    command = [os.path.join(os.path.dirname(sys.executable), "saved_model_cli"), "show", "--dir"]
    done = subprocess.run(
        [
            *command,
            str(exported[0].path),
            "--tag_set",
            "serve",
            "--signature_def",
            "serving_default",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    for line in ("inputs['rgb']", "inputs['flow']", "inputs['objects']"):
        assert line in done.stdout
    for shape in ("(-1, -1, -1, -1, 3)", "(-1, -1, -1, -1, 2)", "(-1, -1, -1, -1)", "(-1, 4)"):
        assert f"shape: {shape}" in done.stdout
    for line in ("outputs['scores']", "outputs['frame_scores']", "outputs['labels']", "DT_UINT8"):
        assert line in done.stdout
