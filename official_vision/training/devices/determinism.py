"""TrainSpec.deterministic: operations that give the same bits in every run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from official_vision.private_apis import determinism_switch


@contextlib.contextmanager
def operations_deterministic(*, wanted: bool) -> Iterator[None]:
    """Has TensorFlow take deterministic operations within the block, and then as before.

    Every draw of a run is from seeds: of data by record and step, of dropout by clip, of weights by TrainSpec.seed.
    What may vary beside them is the order in which threads add numbers, and, on a GPU, the algorithms that cuDNN
    chooses by timing them. See tf.config.experimental.enable_op_determinism, which also lists refused operations.

    Args:
      wanted: False leaves TensorFlow as it is.
    """
    enable, disable, is_enabled = determinism_switch()
    if not wanted or is_enabled():
        yield
        return
    enable()
    try:
        yield
    finally:
        disable()
