"""The command with a network of object ids, as a user runs it: what is stored, and what is refused."""

import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf

from official_vision.data.storage.index import Index
from official_vision.data.storage.segments import segments_of
from official_vision.data.storage.shard import decode_frame
from official_vision.data.video import decode
from tests import commands
from tests.data.objects import onnx_files

NAMES = ("none", "black", "red", "green", "blue")


def prepare(folder, footage, env=None, **settings):
    values = {
        "annotations": str(folder / "annotations.csv"),
        "videos": str(footage["bikes"].parent),
        "output": str(folder / "out"),
        "short_side": 32,
        "flow": "none",
        "objects": f"onnx:{folder}/net.onnx",
        "object_id_offset": 1,
        "object_classes": str(folder / "names.txt"),
        "object_batch": 4,
        "workers": 1,
        **settings,
    }
    flags = [f"--gin_bindings=PrepareSpec.{name} = {value!r}" for name, value in values.items()]
    return commands.run("prepare_data", *flags, env=env)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, footage):
    folder = tmp_path_factory.mktemp("objects")
    (folder / "annotations.csv").write_text(
        "path,labels,split,start,end\nbikes.mp4,ride,train,0,0.4\n"
    )
    (folder / "names.txt").write_text("\n".join(NAMES) + "\n")
    onnx_files.pixelwise(folder / "net.onnx", onnx_files.NEAREST_WEIGHTS, onnx_files.NEAREST_BIASES)
    return folder, prepare(folder, footage)


def test_the_networks_ids_are_stored(prepared, footage):
    folder, done = prepared
    assert (done.returncode, done.stderr) == (0, "")
    index = Index.read(folder / "out" / "train")
    content = (folder / "net.onnx").read_bytes()
    assert index.settings["object_network_sha256"] == hashlib.sha256(content).hexdigest()
    assert index.object_classes == NAMES
    assert {"av", "onnxruntime"} <= index.versions.keys()
    segments = segments_of(folder / "out" / "train", index)
    window = segments.window(tf.constant(0), tf.constant(0), segments.frames[0], ("objects",))
    frames = list(decode(footage["bikes"], 32, None, 0.0, 0.4))
    assert len(frames) == segments.frames[0] > 4  # more than a batch
    for frame, encoded in zip(frames, window["objects"], strict=True):
        distances = ((frame.rgb[..., np.newaxis, :] / 255 - onnx_files.COLOURS / 255) ** 2).sum(-1)
        best = np.sort(distances, axis=-1)
        sure = best[..., 1] - best[..., 0] > 1e-5
        ids = decode_frame(encoded, "objects", tf.constant(0.0)).numpy()[..., 0]
        np.testing.assert_array_equal(ids[sure], distances.argmin(-1)[sure] + 1)


def test_other_weights_or_settings_are_refused_for_the_same_output(prepared, footage, tmp_path):
    folder, _ = prepared
    other = onnx_files.pixelwise(
        tmp_path / "net.onnx", -onnx_files.NEAREST_WEIGHTS, onnx_files.NEAREST_BIASES
    )
    done = prepare(folder, footage, objects=f"onnx:{other}", object_fit="letterbox")
    assert done.returncode == 1
    assert "whose shards differ in objects, object_fit, object_network_sha256. " in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_network_that_is_none_is_refused_before_any_video(prepared, footage, tmp_path):
    folder, _ = prepared
    (tmp_path / "net.onnx").write_bytes((folder / "net.onnx").read_bytes()[:99])
    done = prepare(
        folder, footage, objects=f"onnx:{tmp_path}/net.onnx", output=str(tmp_path / "out")
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: PrepareSpec.objects must name an ONNX file that")
    assert done.stderr.count("\n") == 1
    assert not list((tmp_path / "out").rglob("*.tfrecord"))


def test_an_output_of_before_there_were_these_settings_goes_on(prepared, footage):
    """Its plan lacks them: they had no effect then, as their defaults have none; another batch has none at all."""
    folder, _ = prepared
    path = folder / "out" / "train" / "plan.json"
    plan = json.loads(path.read_text())
    for name in ("object_fit", "object_padding", "object_layout", "object_overlap"):
        del plan["settings"][name]
    path.write_text(json.dumps(plan))
    done = prepare(folder, footage, object_batch=2)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_package_is_named_with_its_extra(prepared, footage, tmp_path):
    folder, _ = prepared
    (tmp_path / "onnxruntime.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'onnxruntime'\", name='onnxruntime')\n"
    )
    env = {**commands.ENVIRONMENT, "PYTHONPATH": str(tmp_path)}
    done = prepare(folder, footage, env, output=str(tmp_path / "out"))
    assert done.returncode == 1
    assert done.stderr == (
        "error: This needs the package onnxruntime. Received: it is not installed. "
        "Install it: pip install 'official-vision[onnx]'.\n"
    )
