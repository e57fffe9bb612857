"""AssembleNet++ for video recognition: architectures, layers, data, training, search and serving."""

import os
import sys

from official_vision.errors import UserError

__version__ = "0.1.0"


def _choose_keras() -> None:
    """Makes `tf.keras` be tf_keras, on which Model Garden is built; TensorFlow decides when it is first used."""
    setting = os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    # Once used, the loader that TensorFlow puts there is replaced by the module that it chose.
    keras = vars(sys.modules.get("tensorflow", object)).get("keras", object)
    is_keras_3 = str(vars(keras).get("__name__", "")).startswith("keras.")
    if is_keras_3 or setting.lower() not in ("1", "true"):
        reason = "Keras 3, used already" if is_keras_3 else f"TF_USE_LEGACY_KERAS={setting}"
        raise UserError(
            f"tf.keras must be tf_keras: layers of Keras 3 don't fit its networks. Received: {reason}. Import "
            "official_vision before tf.keras is used, or set TF_USE_LEGACY_KERAS=1 before Python starts."
        )


_choose_keras()
