"""Exported runs: what is written, that it scores as the network does, and that failures leave nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from official_vision import config as configuration
from official_vision import files
from official_vision.data.storage.index import Index
from official_vision.errors import UserError
from official_vision.modeling.flow import RepresentationFlow
from official_vision.serving.export import isolated_process
from official_vision.serving.export import version_folder as exporting
from official_vision.serving.export.held_out_clips import network_scores, read_clips
from official_vision.serving.export.options import LIMITS, ExportOptions
from official_vision.serving.export.version_folder import export
from official_vision.serving.predict.options import PredictOptions
from official_vision.serving.predict.predictor import Predictor
from official_vision.specs import PrepareSpec
from tests.serving import exports

# For tests in which peers do not matter: nothing is tried out.
WHATEVER_PEERS = ExportOptions(peers="all")
# Fails where anything imports our code or Keras; prints each size's scores.


def clip(batch, frames, height, width, seed=0):
    generator = np.random.default_rng(seed)
    shape = (batch, frames, height, width)
    return {
        "rgb": generator.integers(0, 256, (*shape, 3)).astype(np.uint8),
        "flow": generator.normal(0, 2, (*shape, 2)).astype(np.float32),
        "objects": generator.integers(0, 8, shape).astype(np.uint8),
    }


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported[0].path)).signatures


def network_scores_of(model):
    """Replaces a file by one that scores exactly as the network."""
    return lambda _, clips, signatures: dict.fromkeys(
        signatures, (network_scores(model, clips), 0.01)
    )


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x)))


def test_a_version_has_its_labels_and_how_it_is_fed(exported, split):
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
    prepared = described["preparation"]
    assert (prepared["short_side"], prepared["fps"], prepared["flow"]) == (32, None, "dis")
    assert (prepared["flow_bound"], prepared["objects"]) == (20.0, "opencv")
    assert described["model"]["num_classes"] == 4
    assert described["architecture"]["name"] == "tiny"
    assert described["checkpoint"]["step"] == 7
    assert described["data_fingerprint"] == Index.read(split).fingerprint
    # Nothing else is left in the version's folder or beside it.
    assert sorted(path.name for path in output.iterdir()) == ["1"]
    names = {path.name for path in version.path.iterdir()}
    model = {"assets", "assets.extra", "variables", "saved_model.pb", "fingerprint.pb"}
    assert names <= model | {"parity.json", "README.md", "batching_parameters.txt"}


def test_the_difference_that_is_reported_is_tiny_and_real(exported):
    """Scores of random weights lie apart, so that a wrong file would differ by much more."""
    parity = exported[0].parities["SavedModel"]
    assert 0 <= parity.difference <= 1e-5
    written = files.read_json(exported[0].path / "parity.json")
    assert written["files"]["SavedModel"] == parity.to_dict()
    # Random gates have no dominant peer.
    assert "peers are not decided" in written["notes"][0]


@pytest.mark.slow
def test_versions_count_on_and_a_checkpoint_can_be_named(run, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "signature_scores", network_scores_of(run[1]))
    for name in ("1", "9", "notes"):
        (tmp_path / name).mkdir()
    path = tf.train.latest_checkpoint(str(run[0] / "best"))
    version = export(run[0], tmp_path, path, WHATEVER_PEERS).path
    assert version == tmp_path / "10"
    described = files.read_json(version / "assets" / "model.json")
    assert described["checkpoint"] == {"path": path, "step": 7}


# Apart from this package, which it must not need.
PROGRAM = Path(__file__).parents[3] / "tests/serving/export/scores_of_saved_model.py"


@pytest.mark.slow
def test_a_program_without_our_code_gets_the_networks_scores_at_any_size(exported, run, tmp_path):
    sizes = {"1x4x32x32": (1, 4, 32, 32), "3x2x48x64": (3, 2, 48, 64), "2x1x80x33": (2, 1, 80, 33)}
    clips = {size: clip(*shape) for size, shape in sizes.items()}
    path = tmp_path / "clips.npz"
    np.savez(
        path, **{f"{s}-{size}": x for size, streams in clips.items() for s, x in streams.items()}
    )
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(exported[0].path), str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads(done.stdout)
    assert {result["size"] for result in results} == set(sizes)
    for result in results:
        features = {name: tf.constant(x) for name, x in clips[result["size"]].items()}
        expected = run[1](features, training=False)
        np.testing.assert_allclose(result["scores"], sigmoid(expected["logits"]), atol=1e-5)
        np.testing.assert_allclose(
            result["frame_scores"], sigmoid(expected["frame_logits"]), atol=1e-5
        )
        assert result["labels"] == list(exports.LABELS)
    spread = np.concatenate([np.ravel(result["frame_scores"]) for result in results])
    assert np.std(spread) > 1e-3  # constant scores would agree without meaning anything


def test_predictions_are_the_networks(exported, run, brightening):
    predictor = Predictor(exported[1], PredictOptions(stride=4, batch_size=1))
    fed, serve = [], predictor._serve
    predictor._serve = lambda **features: (fed.append(features), serve(**features))[1]
    result = predictor.predict(brightening)
    logits = np.concatenate([run[1](features, training=False)["logits"] for features in fed])
    np.testing.assert_allclose(result.scores, sigmoid(logits).mean(axis=0), atol=1e-5)


@pytest.mark.slow
def test_a_file_that_scores_otherwise_is_not_kept(run, tmp_path, monkeypatch):
    def wrong(folder, clips, signatures):
        scored = network_scores_of(run[1])(folder, clips, signatures)
        if clips.streams["rgb"].std() > 0:  # rgb is what this file gets wrong
            scored["streams"][0]["frame_scores"].flat[-1] += 1e-3
        return scored

    monkeypatch.setattr(exporting, "signature_scores", wrong)
    with pytest.raises(UserError, match="must agree with the model") as caught:
        export(run[0], tmp_path / "export", options=WHATEVER_PEERS)
    assert "Without the stream rgb the difference would be 0.0e+00" in str(caught.value)
    assert list((tmp_path / "export").iterdir()) == []


def test_an_output_that_is_no_folder_is_refused_before_the_work(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--output must be a folder .*Received: .*file"):
        export(run[0], tmp_path / "file" / "export")


@pytest.mark.slow
def test_a_wide_limit_makes_no_gate_discrete(run, tmp_path, monkeypatch):
    """The limit of --limit differs from the one by which auto takes a score as unchanged."""
    monkeypatch.setattr(exporting, "signature_scores", network_scores_of(run[1]))
    version = export(run[0], tmp_path, options=ExportOptions(limit=2.0))
    assert "peers are not decided" in version.notes[0]


@pytest.mark.slow
def test_a_discrete_file_in_half_precision_is_near(run, tmp_path):
    options = ExportOptions(precision="bfloat16", peers="discrete")
    version = export(run[0], tmp_path, options=options)
    assert 0 < version.parities["SavedModel"].difference < 0.1
    loaded = tf.saved_model.load(str(version.path))
    assert {v.dtype for v in loaded.weights} == {tf.bfloat16}
    shapes = [tuple(v.shape) for v in loaded.weights]
    assert len(shapes) < len(run[1].variables) / 2  # no batch norms, no candidates' maps


LENGTHS = (4, 7)


@pytest.mark.slow
def test_tflite_files_score_as_the_network_at_each_length(run, tmp_path):
    formats = ("float32", "float16", "dynamic", "int8")
    options = ExportOptions(tflite=formats, tflite_frames=LENGTHS)
    version = export(run[0], tmp_path, options=options)
    figures = {
        (name, frames): version.parities[f"TFLite {name}, {frames} frames"]
        for name in formats
        for frames in LENGTHS
    }
    for (name, frames), parity in figures.items():
        path = version.path / f"model_{name}.tflite"
        assert path.stat().st_size == parity.size_bytes
        # Quantised files differ, and by no more than their limits.
        assert parity.typical_difference < LIMITS[name]
        first, second = weights_by_graph(path)
        assert len(first) > 10
        assert first == second
        if name == "float32":
            assert parity.difference < 1e-5
            check_lite(path, frames, run[1])
    written = files.read_json(version.path / "parity.json")
    assert written["mobile_gpu"].keys() == written["files"].keys() - {"SavedModel"}
    assert files.read_json(version.path / "assets/model.json")["tflite_frames"] == [*LENGTHS]
    assert figures["float16", 4].difference > 1e-6
    assert figures["int8", 4].size_bytes < figures["float32", 4].size_bytes / 2


def weights_by_graph(path):
    """Numbers of the buffers that each signature's graph reads weights from, without int8's biases."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    large = {
        n for n, each in enumerate(model.buffers) if each.data is not None and len(each.data) > 99
    }
    return [
        {tensor.buffer for tensor in graph.tensors if tensor.type != schema.TensorType.INT32}
        & large
        for graph in model.subgraphs
    ]


def check_lite(path, frames, model):
    """Compares a signature with the Keras model, on a clip that export has not seen."""
    streams = clip(1, frames, 32, 32)
    scores = Interpreter(str(path)).get_signature_runner(f"frames_{frames}")(**streams)
    expected = model({name: tf.constant(x) for name, x in streams.items()}, training=False)
    np.testing.assert_allclose(scores["scores"], sigmoid(expected["logits"]), atol=1e-5)
    np.testing.assert_allclose(scores["frame_scores"], sigmoid(expected["frame_logits"]), atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"tflite_frames": (8,)}, *({"tflite": ("int8",), "tflite_frames": n} for n in ((8, 8), (0,)))],
)
def test_numbers_of_frames_that_no_file_can_have_are_refused(options):
    with pytest.raises(UserError, match="tflite_frames must be different whole numbers from 1"):
        ExportOptions(**options)


def test_rgb_alone_gets_its_flow_computed_and_no_objects(signatures, run):
    serve = signatures["serving_default"]
    rgb = clip(2, 3, 32, 48)["rgb"]
    # Of one frame there is no flow: a picture is a clip without motion.
    single = rgb[:, :1]
    flows = (RepresentationFlow(run[1].spec.flow_iterations)(rgb), np.zeros((2, 1, 32, 48, 2)))
    for frames, flow in zip((rgb, single), flows, strict=True):
        objects = np.full(frames.shape[:-1], 255, np.uint8)
        fed = {"rgb": frames, "flow": tf.cast(flow, tf.float32), "objects": objects}
        expected = sigmoid(run[1](fed, training=False)["logits"])
        np.testing.assert_allclose(serve(rgb=tf.constant(frames))["scores"], expected, atol=1e-5)


def test_a_record_of_a_shard_is_cut_as_in_evaluation(signatures, run, split):
    (record,) = tf.data.TFRecordDataset(str(next(split.glob("*.tfrecord"))))
    index = Index.read(split)
    spec = configuration.read(run[0]).validation_data
    clips = read_clips(spec, index, run[1].streams, 1)
    actual = signatures["sequence_example"](records=record[tf.newaxis])["scores"]
    np.testing.assert_allclose(actual, network_scores(run[1], clips)["scores"], atol=1e-5)


def test_warm_up_requests_are_what_the_signature_takes(exported, signatures):
    """Read back with TF Serving's messages and run, as the server does when it starts."""
    path = exported[0].path / "assets.extra" / "tf_serving_warmup_requests"
    inputs = {}
    for record in tf.data.TFRecordDataset(str(path)):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        fed = {
            name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()
        }
        name = request.model_spec.signature_name
        assert signatures[name](**fed)["scores"].shape == (1, len(exports.LABELS))
        inputs[name] = set(fed)
    assert inputs == {"streams": {"rgb", "flow", "objects"}, "serving_default": {"rgb"}}


def test_encoded_frames_are_cut_and_resized_as_in_evaluation(signatures):
    """PNGs, which lose nothing: the middle 48 x 48 of 48 x 64, then every 3 pixels become 2."""
    rgb = clip(1, 3, 48, 64)["rgb"]
    frames = tf.constant([[tf.io.encode_png(frame).numpy() for frame in rgb[0]]])
    middle = tf.image.resize(rgb[0, :, :, 8:56], (32, 32))
    fed = tf.cast(tf.round(middle), tf.uint8)[tf.newaxis]
    expected = signatures["serving_default"](rgb=fed)["frame_scores"]
    actual = signatures["encoded"](frames=frames)["frame_scores"]
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    single = signatures["serving_default"](rgb=fed[:, :1])["scores"]
    actual = signatures["encoded"](frames=frames[:, :1])["scores"]
    np.testing.assert_allclose(actual, single, atol=1e-6)


@pytest.mark.slow
def test_a_file_that_does_not_load_is_not_kept(run, tmp_path, monkeypatch):
    program = tmp_path / "program.py"
    monkeypatch.setattr(isolated_process.scoring, "__file__", str(program))
    program.write_text("import sys; sys.exit('no such op: Mystery')")
    with pytest.raises(UserError, match=r"Received: no such op: Mystery\. Nothing") as caught:
        export(run[0], tmp_path / "export", options=WHATEVER_PEERS)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "export").iterdir()) == []
    program.write_text("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(UserError, match="Received: exit status -9"):
        export(run[0], tmp_path / "export", options=WHATEVER_PEERS)
    assert list((tmp_path / "export").iterdir()) == []


@pytest.mark.slow
def test_an_interruption_leaves_nothing(run, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    for name in ("signature_scores", "ServingModule"):
        with monkeypatch.context() as patched:
            patched.setattr(exporting, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                export(run[0], tmp_path / "export", options=WHATEVER_PEERS)
        assert list((tmp_path / "export").iterdir()) == []


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="has none"):
        export(tmp_path, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_a_run_without_that_checkpoint_is_refused(run, tmp_path):
    with pytest.raises(UserError, match="'latest'"):
        export(run[0], tmp_path / "export", "latest")
    assert not (tmp_path / "export").exists()


def test_data_prepared_anew_is_refused(tmp_path, brightening, split):
    """Its classes may be in another order: labels would be wrong without a sign of it."""
    anew = tmp_path / "anew"
    exports.write_split(anew, [brightening], PrepareSpec(short_side=32), exports.LABELS[::-1])
    exports.write_run(tmp_path / "run", anew, Index.read(split).fingerprint)
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
            "streams",
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
