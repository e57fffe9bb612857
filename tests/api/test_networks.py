"""Networks without gin, and training by Keras's own `fit`."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import official_vision as ov
from tests.modeling import small

FEATURES = small.clips(4)
LABELS = np.arange(4)


@pytest.fixture(scope="module")
def fitted() -> tf_keras.Model:
    tf_keras.utils.set_random_seed(0)
    settings = {"num_object_classes": small.OBJECTS, "dropout_rate": 0.0, "width_multiplier": None}
    model = ov.build_model(small.architecture(), small.CLASSES, **settings)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.SGD(0.05), loss, metrics=["accuracy"])
    data = tf.data.Dataset.from_tensor_slices((FEATURES, LABELS)).batch(2)
    model.history_of_test = model.fit(data, epochs=2, validation_data=data, verbose=0).history
    return model


def test_fit_computes_the_loss_of_the_logits(fitted) -> None:
    history = fitted.history_of_test
    logits = fitted(FEATURES)["logits"].numpy().astype(np.float64)
    exact = np.log(np.exp(logits).sum(1)) - logits[LABELS, LABELS]
    assert history["val_loss"][-1] == pytest.approx(exact.mean(), rel=1e-4)
    assert history["val_accuracy"][-1] == np.mean(logits.argmax(1) == LABELS)
    assert fitted.predict(FEATURES, verbose=0)["logits"] == pytest.approx(logits, abs=1e-4)


def test_a_keras_file_and_a_saved_model_hold_the_same_network(fitted, tmp_path) -> None:
    expected = fitted(FEATURES)["logits"].numpy()
    fitted.save(tmp_path / "model.keras")
    loaded = tf_keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(FEATURES)["logits"], expected, atol=1e-5)
    fitted.export(str(tmp_path / "saved"))
    saved = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(saved.serve(FEATURES)["logits"], expected, atol=1e-4)


def test_a_graph_s_depth_and_width_are_settings_too() -> None:
    graph = ov.load_architecture("assemblenet_50", depth=26, width_multiplier=0.25)
    model = ov.build_model("assemblenet_50", 7, depth=26, width_multiplier=0.25)
    assert model.architecture == graph
    counted = ov.estimate_cost(graph, num_classes=7).total.trainable
    assert counted == sum(np.prod(v.shape) for v in model.trainable_variables)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ov.build_model("assemblenet_51"), "Did you mean 'assemblenet_50'"),
        (lambda: ov.build_model(gates="none"), "Received: 'gates'. Did you mean 'gate'"),
        (lambda: ov.build_model(gate="all"), "Received: 'all'"),
        (lambda: ov.estimate_cost(frame=3), "Received: 'frame'"),
        (lambda: ov.load_architecture("assemblenet_50", depth=27), "27"),
        (lambda: ov.draw("assemblenet_50", "a.gif"), "Received: a.gif"),
    ],
)
def test_mistakes_are_one_line(call, message: str) -> None:
    with pytest.raises(ov.UserError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_and_its_graph_give_one_drawing(tmp_path) -> None:
    ov.draw("slowfast_50", tmp_path / "name.svg")
    ov.draw(ov.load_architecture("slowfast_50"), tmp_path / "graph.svg")
    ov.draw("slowfast_50", tmp_path / "weak.svg", strengths={2: [0.01, 0.99]})
    pictures = [(tmp_path / f"{name}.svg").read_bytes() for name in ("name", "graph", "weak")]
    assert pictures[0] == pictures[1] != pictures[2]
