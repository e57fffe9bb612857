"""A server that speaks TF Serving's REST format over a loaded SavedModel, and what can go wrong."""

import contextlib
import json
import re
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.serving.export.exported_model import load_exported_model
from official_vision.serving.predict.serving_client import greatest_difference, server
from tests.serving import exports


def clip():
    generator = np.random.default_rng(0)
    return {
        "rgb": generator.integers(0, 255, (1, 2, 4, 4, 3)).astype(np.uint8),
        "flow": generator.normal(size=(1, 2, 4, 4, 2)).astype(np.float32),
        "objects": generator.integers(0, 3, (1, 2, 4, 4)).astype(np.uint8),
    }


@contextlib.contextmanager
def serving(reply):
    """A server on loopback; `reply` takes the request's path and body and returns (status, bytes)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, content = reply(self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):  # the client may have gone
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http_server.server_port}/v1/models/tiny"
        finally:
            http_server.shutdown()
            thread.join()


def tf_serving(folder):
    """TF Serving's columnar REST format: {"inputs": {...}} -> {"outputs": {...}}."""
    loaded = tf.saved_model.load(str(folder / "1"))

    def reply(path, body):
        assert path == "/v1/models/tiny:predict"
        request = json.loads(body)
        serve = loaded.signatures[request["signature_name"]]
        specs = serve.structured_input_signature[1]
        inputs = {k: tf.constant(v, specs[k].dtype) for k, v in request["inputs"].items()}
        try:
            outputs = {name: x.numpy() for name, x in serve(**inputs).items()}
        except (tf.errors.OpError, TypeError, ValueError) as error:
            return 400, json.dumps({"error": str(error)}).encode()
        outputs["labels"] = np.char.decode(outputs["labels"].astype("S"))
        return 200, json.dumps({"outputs": {k: v.tolist() for k, v in outputs.items()}}).encode()

    return reply


def test_a_servers_scores_are_those_of_the_file(known_scores):
    here = load_exported_model(exports.with_clip(known_scores))
    with serving(tf_serving(known_scores)) as address:
        actual = server(address, 20)(clip())
        with pytest.raises(UserError, match="400: "):
            server(address, 20)({"rgb": clip()["rgb"]})  # and the next one is scored
        again = server(f"{address}/", 20)(clip())
    assert greatest_difference(here(**clip()), actual) < 1e-6
    np.testing.assert_array_equal(actual["scores"], again["scores"])
    assert actual["scores"][0, 0] == pytest.approx(clip()["rgb"][0, -1].mean() / 255, abs=1e-5)


def test_scores_that_differ_are_measured():
    scores = {"scores": np.zeros((1, 3)), "frame_scores": np.zeros((1, 2, 3))}
    moved = {**scores, "frame_scores": scores["frame_scores"] + [0, 0.25, -0.5]}
    assert greatest_difference(scores, moved) == 0.5
    with pytest.raises(
        UserError, match=r"scores of one shape. Received: \[1, 2\] of the server, \[1, 3\]"
    ):
        greatest_difference(scores, {**scores, "scores": np.zeros((1, 2))})
    with pytest.raises(UserError, match="NaN"):
        greatest_difference(scores, {**scores, "scores": np.full((1, 3), np.nan)})


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (404, b'{"error": "Servable not found\\nfor request"}', "404: Servable not found for"),
        (500, b"<html>gone wrong</html>", "500: <html>gone wrong"),
        (503, b"", "503: without a reason"),
        (200, b"no JSON", "without scores and frame_scores"),
        (200, b'{"predictions": [1]}', "without scores and frame_scores"),
        (200, b'{"outputs": {"scores": [[1]]}}', "frame_scores"),
        (200, b'{"outputs": {"scores": ["a"], "frame_scores": []}}', "without scores"),
        (200, b" " * (65 << 20), "more than 64 MiB"),
    ],
)
def test_other_responses_are_reported_in_one_line(status, content, message):
    with (
        serving(lambda *_: (status, content)) as address,
        pytest.raises(UserError, match=re.escape(message)) as caught,
    ):
        server(address, 10)(clip())
    assert "\n" not in str(caught.value)
    assert address in str(caught.value)


def test_a_server_that_is_silent_or_away_costs_no_more_than_its_time_limit():
    def silent(*_):
        time.sleep(3)
        return 200, b""

    start = time.monotonic()
    with serving(silent) as address:
        with pytest.raises(UserError, match="timed out"):
            server(address, 0.5)(clip())
        assert time.monotonic() - start < 2.5
    with pytest.raises(UserError, match="refused"):
        server(address, 0.5)(clip())


def test_a_server_that_drips_is_not_waited_for():
    class Drip(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(50):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.1)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Drip) as http_server:
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        start = time.monotonic()
        with pytest.raises(UserError, match="timed out"):
            server(f"http://127.0.0.1:{http_server.server_port}/v1/models/tiny", 0.5)(clip())
        assert time.monotonic() - start < 3
        http_server.shutdown()


@pytest.mark.parametrize("address", ["tiny", "ftp://a/v1/models/b", "http://a", "grpc://"])
def test_other_addresses_are_refused(address):
    with pytest.raises(UserError, match=f"Received: {re.escape(address)}"):
        server(address, 1)


def test_grpc_sends_tf_servings_messages(known_scores):
    grpc = pytest.importorskip("grpc")
    apis = pytest.importorskip("tensorflow_serving.apis")
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    assert apis
    loaded = tf.saved_model.load(str(known_scores / "1"))

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802 (gRPC's name)
            if request.model_spec.name != "tiny":
                context.abort(grpc.StatusCode.NOT_FOUND, "no such servable")
            serve = loaded.signatures[request.model_spec.signature_name]
            inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
            response = predict_pb2.PredictResponse()
            for name, value in serve(**inputs).items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
            return response

    grpc_server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    try:
        address = f"grpc://127.0.0.1:{port}"
        actual = server(address, 20, "tiny")(clip())
        with pytest.raises(UserError, match="NOT_FOUND: no such servable"):
            server(address, 20, "other")(clip())
    finally:
        grpc_server.stop(0)
    here = load_exported_model(exports.with_clip(known_scores))
    assert greatest_difference(here(**clip()), actual) == 0
    with pytest.raises(UserError, match="--model_name"):
        server(address, 1)
