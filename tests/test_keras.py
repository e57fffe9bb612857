"""tf.keras is tf_keras wherever the package is used, or one line with the reason."""

import subprocess
import sys

import pytest

TOUCHED = "import tensorflow as tf; tf.keras.layers; import official_vision"
UNTOUCHED = "import tensorflow as tf; import official_vision; assert 'tf_keras' in tf.keras.layers.Dense.__module__"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "setting", "message"),
    [
        (TOUCHED, None, "Received: Keras 3, used already. Import official_vision before"),
        (TOUCHED, "1", ""),
        (UNTOUCHED, None, ""),
        ("import official_vision", "0", "Received: TF_USE_LEGACY_KERAS=0. Import"),
    ],
)
def test_keras_3_is_reported(script, setting, message, monkeypatch):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    if setting:
        monkeypatch.setenv("TF_USE_LEGACY_KERAS", setting)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == bool(message), done.stderr
    assert message in (done.stderr.strip().splitlines() or [""])[-1]
