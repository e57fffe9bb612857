"""A client of a running TF Serving, or of any server with its REST or gRPC interface."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping

import numpy as np

from official_vision.errors import UserError
from official_vision.serving.export.description import STREAMS_SIGNATURE

Prediction = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
_OUTPUTS = ("scores", "frame_scores")
_MOST_BYTES = 64 << 20  # of a response: an address that sends without end must not fill the memory


def server(address: str, timeout_sec: float, model_name: str = "") -> Prediction:
    """Returns a function that gets scores [batch, classes] and frame_scores [batch, time, classes] of a server.

    Args:
      address: http(s)://HOST:PORT/v1/models/NAME, with /versions/N where one is meant, or
        grpc://HOST:PORT.
      timeout_sec: for the whole of one request.
      model_name: of the model, which a gRPC address does not hold.

    Raises:
      UserError: an address of another kind, or gRPC without its package or a model's name.
    """
    parts = urllib.parse.urlsplit(address)
    if parts.scheme in ("http", "https") and parts.netloc and "/v1/models/" in parts.path:
        return _rest(address.rstrip("/"), timeout_sec)
    if parts.scheme == "grpc" and parts.netloc:
        return _grpc(parts.netloc, timeout_sec, model_name)
    raise UserError(
        "--address must be http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT. "
        f"Received: {address}. Name the server's port and the model."
    )


def _rest(address: str, timeout_sec: float) -> Prediction:
    url = address if address.endswith(":predict") else f"{address}:predict"

    def predict(streams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        body = {
            "signature_name": STREAMS_SIGNATURE,
            "inputs": {name: value.tolist() for name, value in streams.items()},
        }
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            deadline = time.monotonic() + timeout_sec
            with urllib.request.urlopen(request, timeout=timeout_sec) as response:
                content = _read(response, deadline)
        except urllib.error.HTTPError as error:
            raise _refused(url, f"{error.code}: {_message(error.read(10_000))}") from error
        except (OSError, http.client.HTTPException) as error:  # time-outs among them
            raise _refused(url, getattr(error, "reason", None) or error) from error
        return _scores(url, content)

    return predict


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """Reads the response; a socket's time-out begins anew with every byte, so the time is watched."""
    content = bytearray()
    while part := response.read1(1 << 16):
        content += part
        if len(content) > _MOST_BYTES:
            raise OSError(f"more than {_MOST_BYTES >> 20} MiB")
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
    return bytes(content)


def _message(content: bytes) -> str:
    """Reads TF Serving's {"error": text}; anything else is shown as it is."""
    text = content.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["error"])
    return " ".join(text.split())[:500] or "without a reason"


def _scores(url: str, content: bytes) -> dict[str, np.ndarray]:
    try:
        outputs = json.loads(content)["outputs"]
        scores = {name: np.asarray(outputs[name], np.float32) for name in _OUTPUTS}
    except (ValueError, KeyError, TypeError) as error:
        raise _refused(url, f"a response without scores and frame_scores ({error!r})") from error
    return scores


def _grpc(target: str, timeout_sec: float, model_name: str) -> Prediction:
    if not model_name:
        raise UserError(
            f"A gRPC address needs the model's name. Received: grpc://{target} and no --model_name. Add it."
        )
    try:
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
    except ImportError as error:
        raise UserError(
            f"gRPC needs the package tensorflow-serving-api. Received: {error}. "
            "Install it, or use the REST address."
        ) from error

    def predict(streams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model_name
        request.model_spec.signature_name = STREAMS_SIGNATURE
        for name, value in streams.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        sizes = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        with grpc.insecure_channel(target, sizes) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            try:
                outputs = stub.Predict(request, timeout=timeout_sec).outputs
            except grpc.RpcError as error:
                reason = f"{error.code().name}: {' '.join(error.details().split())[:500]}"
                raise _refused(f"grpc://{target}", reason) from error
        lacking = [name for name in _OUTPUTS if name not in outputs]
        if lacking:
            raise _refused(f"grpc://{target}", f"a response without {' and '.join(lacking)}")
        return {name: tf.make_ndarray(outputs[name]) for name in _OUTPUTS}

    return predict


def _refused(address: str, reason: object) -> UserError:
    return UserError(
        f"The server must return scores for the clip. Received, of {address}: {reason}. "
        "Check that the server runs, has loaded the same export, and has enough time."
    )


def greatest_difference(
    expected: Mapping[str, np.ndarray], actual: Mapping[str, np.ndarray]
) -> float:
    """Returns the greatest difference of any score or frame score.

    Raises:
      UserError: the scores have other shapes, or are NaN.
    """
    greatest = 0.0
    for name in _OUTPUTS:
        if expected[name].shape != actual[name].shape:
            raise UserError(
                f"Both must return {name} of one shape. Received: {list(actual[name].shape)} of the "
                f"server, {list(expected[name].shape)} here. Compare with the file that it has loaded."
            )
        difference = float(np.abs(expected[name] - actual[name]).max())
        if not math.isfinite(difference):
            raise UserError(f"{name} must be numbers. Received: NaN or infinity. Export again.")
        greatest = max(greatest, difference)
    return greatest
