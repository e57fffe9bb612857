"""Requests that TF Serving runs before a version takes traffic.

The first request of a signature compiles and allocates; without these a client would wait for it. The
format is TF Serving's: a TFRecord file of PredictionLog messages in assets.extra.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from official_vision.serving.export.description import DEFAULT_SIGNATURE, STREAMS_SIGNATURE

WARM_UP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"


def write_warm_up(folder: Path, streams: Mapping[str, np.ndarray]) -> bool:
    """Writes a request for streams, and where there is rgb one for serving_default.

    Args:
      folder: of the SavedModel.
      streams: a clip of every stream, [1, time, height, width, ...].

    Returns:
      False, and writes nothing, where the package of TF Serving's messages is missing.
    """
    try:
        # Imported here: an extra.
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        return False
    requests = {STREAMS_SIGNATURE: streams}
    if "rgb" in streams:
        requests[DEFAULT_SIGNATURE] = {"rgb": streams["rgb"]}
    path = folder / WARM_UP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, fed in requests.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            for name, values in fed.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())
    return True
