"""AssembleNet++ for video recognition: architectures, layers, data, training, search and serving."""

import os

# Model Garden is built on tf_keras. TensorFlow reads this once, when it is first imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

__version__ = "0.1.0"
