"""The exported file in hands that know nothing of us: TensorFlow's C library, and saved_model_cli."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from official_vision.serving.explain.gate_openings import gate_values
from tests.serving import c_api, exports

pytestmark = pytest.mark.slow
LIBRARIES = Path(tf.sysconfig.get_lib())
CLI = Path(sys.executable).with_name("saved_model_cli")
PLAIN = {k: v for k, v in os.environ.items() if k not in ("TF_USE_LEGACY_KERAS", "PYTHONPATH")}


@pytest.fixture(scope="module")
def clip():
    generator = np.random.default_rng(5)
    shape = (1, 3, 32, 48)
    return {
        "rgb": generator.integers(0, 256, (*shape, 3)).astype(np.uint8),
        "flow": generator.normal(0, 2, (*shape, 2)).astype(np.float32),
        "objects": generator.integers(0, 8, shape).astype(np.uint8),
    }


@pytest.fixture(scope="module")
def expected(run, clip):
    """The Keras network's scores."""
    outputs = run[1]({name: tf.constant(x) for name, x in clip.items()}, training=False)
    return {
        "scores": tf.sigmoid(outputs["logits"]).numpy(),
        "frame_scores": tf.sigmoid(outputs["frame_logits"]).numpy(),
    }


def output_of(tmp_path, command):
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=PLAIN, timeout=200
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.skipif(
    not list(LIBRARIES.glob("libtensorflow_cc.so.?")),
    reason="this build of TensorFlow has no libtensorflow_cc",
)
@pytest.mark.parametrize("signature", ["streams", "gates"])
def test_the_c_library_gets_the_networks_numbers(
    exported, run, clip, expected, tmp_path, signature
):
    np.savez(tmp_path / "inputs.npz", **clip)
    printed = output_of(
        tmp_path,
        [sys.executable, c_api.__file__, str(LIBRARIES), str(exported[0].path), signature,
         "inputs.npz", "outputs.npz"],
    )  # fmt: skip
    # An error names the input, and the session runs the next request.
    assert "refused: " in printed
    assert "must be uint8 [batch, time, height, width" in printed
    assert printed.splitlines()[-1] == "foreign: []"
    actual = dict(np.load(tmp_path / "outputs.npz", allow_pickle=False))
    if signature == "gates":
        values = gate_values(run[1], {name: tf.constant(x) for name, x in clip.items()})
        expected = {f"gate_{gate.source}_{gate.target}": gate.values[np.newaxis] for gate in values}
    assert set(actual) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, atol=1e-5, err_msg=name)
        assert np.std(value) > 1e-3


def test_saved_model_cli_gets_the_networks_numbers(exported, clip, expected, tmp_path):
    for name, value in clip.items():
        np.save(tmp_path / f"{name}.npy", value)
    inputs = ";".join(f"{name}={name}.npy" for name in clip)
    output_of(
        tmp_path,
        [str(CLI), "run", "--dir", str(exported[0].path), "--tag_set", "serve", "--signature_def",
         "streams", "--inputs", inputs, "--outdir", str(tmp_path)],
    )  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), value, atol=1e-5)
    (labels,) = np.load(tmp_path / "labels.npy", allow_pickle=True)
    assert [label.decode() for label in labels] == [*exports.LABELS]


def test_a_session_as_servers_run_it_reads_records_and_refuses_damaged_ones(exported, split):
    """TF Serving runs the graph in a session: what reads and refuses records must work there too."""
    path = str(exported[0].path)
    (record,) = (
        content.numpy() for content in tf.data.TFRecordDataset(str(next(split.glob("*.tfrecord"))))
    )
    serve = tf.saved_model.load(path).signatures["sequence_example"]
    expected = serve(records=tf.constant([record]))["scores"].numpy()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], path)
        signature = meta.signature_def["sequence_example"]
        fed, scores_tensor = signature.inputs["records"].name, signature.outputs["scores"].name
        for bad in (b"text", record[:-40]):
            with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)records must .*\[1\]"):
                session.run(scores_tensor, {fed: [record, bad]})
        np.testing.assert_allclose(session.run(scores_tensor, {fed: [record]}), expected, atol=1e-6)
