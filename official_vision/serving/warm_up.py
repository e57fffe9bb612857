"""Requests that TF Serving answers to itself before a version takes traffic.

The first request of a signature compiles and allocates; without these a client would wait for it. The
format is TF Serving's: a TFRecord file of PredictionLog messages in assets.extra.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

WARM_UP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"


def write_warm_up(folder: Path, streams: Mapping[str, np.ndarray]) -> bool:
    """Writes one request for serving_default.

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
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = "serving_default"
    for name, values in streams.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    log = prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )
    path = folder / WARM_UP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(log.SerializeToString())
    return True
