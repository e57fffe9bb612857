"""Files for TF Serving beside a SavedModel, and requests that a server joins in batches."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import io
import json
import re
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import average_precision_score
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from official_vision import files
from official_vision.data.storage.index import Index
from official_vision.serving.export.held_out_clips import read_clips
from official_vision.serving.export.parity import compare_rgb_alone
from official_vision.specs import DataSpec
from tests.serving import exports
from tests.serving.predict.test_serving_client import serving

CLIPS = 6


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported[0].path))


@pytest.fixture(scope="module")
def signatures(loaded):
    return loaded.signatures


@pytest.fixture(scope="module")
def readme(exported):
    return (exported[0].path / "README.md").read_text()


def clips():
    generator = np.random.default_rng(3)
    shape = (CLIPS, 4, 32, 32)
    rgb = generator.integers(0, 256, (*shape, 3)).astype(np.uint8)
    rgb[0], rgb[1] = 0, 100 + rgb[1] // 16
    return {
        "rgb": rgb,
        "flow": generator.normal(0, 3, (*shape, 2)).astype(np.float32),
        "objects": generator.integers(0, 8, shape).astype(np.uint8),
    }


@pytest.mark.parametrize("name", ["streams", "serving_default"])
def test_requests_that_a_server_joins_get_the_scores_of_single_ones(signatures, name) -> None:
    """TensorFlow's in-graph batching cuts results by their batch axis, as TF Serving does."""
    serve = signatures[name]
    streams = [key for key in clips() if key in serve.structured_input_signature[1]]
    keys = ("scores", "frame_scores", "labels")

    @tf.nondifferentiable_batch_function(
        num_batch_threads=1, max_batch_size=CLIPS, batch_timeout_micros=2_000_000, autograph=False
    )
    def joined(*tensors):
        outputs = serve(**dict(zip(streams, tensors, strict=True)))
        clips_of_batch = tf.shape(tensors[0])[0]
        return [outputs[key] for key in keys] + [tf.fill([clips_of_batch], clips_of_batch)]

    specs = [serve.structured_input_signature[1][key] for key in streams]
    request = tf.function(joined, input_signature=specs, autograph=False)
    singles = [[tf.constant(clips()[key][[n]]) for key in streams] for n in range(CLIPS)]
    request.get_concrete_function()
    with futures.ThreadPoolExecutor(CLIPS) as pool:
        results = list(pool.map(lambda tensors: request(*tensors), singles))
    assert max(int(sizes[0]) for *_, sizes in results) > 1
    alone = [serve(**dict(zip(streams, tensors, strict=True))) for tensors in singles]
    for (scores, frame_scores, labels, _), expected in zip(results, alone, strict=True):
        np.testing.assert_allclose(scores, expected["scores"], atol=1e-5)
        np.testing.assert_allclose(frame_scores, expected["frame_scores"], atol=1e-5)
        assert [label.decode() for label in labels.numpy()[0]] == list(exports.LABELS)
    assert np.ptp([scores.numpy() for scores, *_ in results], axis=0).max() > 0.01


def test_the_readme_lists_every_signature_as_it_is(signatures, readme) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", readme, re.MULTILINE))
    assert set(rows) == set(signatures)
    for name, serve in signatures.items():
        expected = {
            f"{key} {spec.dtype.name} [{', '.join('?' if n is None else str(n) for n in spec.shape)}]"
            for key, spec in serve.structured_input_signature[1].items()
        }
        assert set(rows[name].split("<br>")) == expected


def run_blocks(readme: str, words: str, address: str, replaced: str) -> str:
    """Runs the block that makes the clip and the one that has the words; returns what they print."""
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (chosen,) = [block for block in blocks if words in block]
    assert replaced in chosen
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(blocks[0] + chosen.replace(replaced, address), {})  # the text is ours
    return printed.getvalue()


def test_the_rest_request_of_the_readme_is_scored(signatures, readme, exported) -> None:
    """The row format: every result must have a row per instance."""

    def reply(path, body):
        assert path == f"/v1/models/{exported[1].name}:predict"
        request = json.loads(body)
        serve = signatures[request["signature_name"]]
        specs = serve.structured_input_signature[1]
        rows = request["instances"]
        fed = {k: tf.constant([row[k] for row in rows], spec.dtype) for k, spec in specs.items()}
        outputs = {name: x.numpy() for name, x in serve(**fed).items()}
        outputs["labels"] = np.char.decode(outputs["labels"].astype("S"))
        assert {len(x) for x in outputs.values()} == {len(rows)}
        replies = [{k: x[n].tolist() for k, x in outputs.items()} for n in range(len(rows))]
        return 200, json.dumps({"predictions": replies}).encode()

    with serving(reply) as address:
        host = address.split("/v1/")[0]
        printed = run_blocks(readme, "urllib", host, "http://localhost:8501")
    black = tf.zeros([1, 4, 32, 32, 3], tf.uint8)
    expected = signatures["serving_default"](rgb=black)["scores"].numpy()[0]
    scores = ast.literal_eval(printed)
    assert list(scores) == list(exports.LABELS)
    np.testing.assert_allclose(list(scores.values()), expected, atol=1e-6)


def test_the_grpc_request_of_the_readme_is_scored(signatures, readme) -> None:
    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, _context):  # noqa: N802
            fed = {k: tf.constant(tf.make_ndarray(x)) for k, x in request.inputs.items()}
            outputs = signatures[request.model_spec.signature_name](**fed)
            response = predict_pb2.PredictResponse()
            response.outputs["scores"].CopyFrom(tf.make_tensor_proto(outputs["scores"]))
            return response

    grpc_server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    try:
        printed = run_blocks(readme, "import grpc", f"127.0.0.1:{port}", "localhost:8500")
    finally:
        grpc_server.stop(0)
    black = tf.zeros([1, 4, 32, 32, 3], tf.uint8)
    expected = signatures["serving_default"](rgb=black)["scores"].numpy()[0]
    np.testing.assert_allclose(
        [float(x) for x in printed.strip("[]\n ").split()], expected, atol=1e-4
    )


def test_batching_parameters_are_of_the_names_that_tf_serving_reads(exported) -> None:
    lines = (exported[0].path / "batching_parameters.txt").read_text().splitlines()
    fields = [line.split()[0] for line in lines if not line.startswith("#")]
    assert fields == [
        "max_batch_size",
        "batch_timeout_micros",
        "num_batch_threads",
        "max_enqueued_batches",
        "pad_variable_length_inputs:",
    ]


def test_what_rgb_alone_gives_up_is_that_of_its_signature(exported, signatures, split) -> None:
    index = Index.read(split)
    spec = DataSpec(path=str(split), batch_size=1, frames=4, size=32)
    held_out = read_clips(spec, index, ("rgb", "flow", "objects"), 1)
    fed = {name: tf.constant(x) for name, x in held_out.streams.items()}
    every = signatures["streams"](**fed)["scores"].numpy()
    rgb = signatures["serving_default"](rgb=fed["rgb"])["scores"].numpy()
    assert np.abs(every - rgb).max() > 1e-3
    written = files.read_json(exported[0].path / "parity.json")["rgb_alone"]
    assert written == dataclasses.asdict(exported[0].rgb_alone)
    assert written["clips"] == 1
    assert written["top_1_agreement"] == float(every.argmax() == rgb.argmax())
    labels = held_out.labels
    for name, scores in (("map_of_all_streams", every), ("map_of_rgb_alone", rgb)):
        assert written[name] == pytest.approx(mean_precision(labels, scores))


def mean_precision(labels, scores):
    """The mean average precision of classes that have a positive, by scikit-learn."""
    shown = labels.any(axis=0)
    return np.mean(
        [average_precision_score(labels[:, n], scores[:, n]) for n in np.flatnonzero(shown)]
    )


def test_rgb_alone_is_compared_with_every_stream() -> None:
    generator = np.random.default_rng(0)
    labels = (generator.random((40, 3)) < 0.3).astype(np.float32)
    every = labels + generator.normal(0, 0.5, labels.shape)
    rgb = labels + generator.normal(0, 2.0, labels.shape)
    compared = compare_rgb_alone({"scores": every}, {"scores": rgb}, labels)
    assert compared.map_of_all_streams == pytest.approx(mean_precision(labels, every))
    assert compared.map_of_rgb_alone == pytest.approx(mean_precision(labels, rgb))
    assert compared.top_1_agreement == (every.argmax(1) == rgb.argmax(1)).mean()
    shown = (
        f"mAP {compared.map_of_rgb_alone:.4f}, with all streams {compared.map_of_all_streams:.4f}"
    )
    assert shown in compared.to_text()
    unlabelled = compare_rgb_alone({"scores": every}, {"scores": rgb}, np.zeros_like(labels))
    assert unlabelled.map_of_rgb_alone is None
    assert "mAP" not in unlabelled.to_text()
