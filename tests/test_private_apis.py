"""What private_apis needs of libraries is still there: each test fails when an upgrade takes it away."""

from __future__ import annotations

import importlib
import io
import os
import sys

import gin
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_vision import private_apis

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def test_gin_searches_other_folders_and_opens_files_otherwise(tmp_path):
    (tmp_path / "outer.gin").write_text("include 'inner.gin'\n")
    (tmp_path / "inner.gin").write_text("answer = 1\n")

    def opened(path):
        with open(path) as file:
            return io.StringIO(file.read().replace("answer = 1", "answer = 2"))

    gin.clear_config()
    with private_apis.gin_reads_with(gin.config, (opened, os.path.isfile), [str(tmp_path)]):
        gin.parse_config_files_and_bindings(["outer.gin"], [], finalize_config=False)
        assert gin.query_parameter("%answer") == 2
    gin.clear_config()
    with pytest.raises(OSError, match=r"outer\.gin"):
        gin.parse_config_files_and_bindings(["outer.gin"], [], finalize_config=False)
    inner = str(tmp_path / "inner.gin")
    gin.parse_config_files_and_bindings([inner], [], finalize_config=False)
    assert gin.query_parameter("%answer") == 1
    gin.clear_config()


def test_tracked_parts_are_in_checkpoints_and_no_weights(tmp_path):
    model, sgd = tf_keras.Model(), tf_keras.optimizers.legacy.SGD()
    counter, inner = tf.Variable(3.0), tf_keras.optimizers.legacy.SGD()
    private_apis.track(model, counter, "counter")
    private_apis.track(sgd, inner, "inside")
    inner.iterations.assign(5)
    path = tf.train.Checkpoint(model=model, optimizer=sgd).save(str(tmp_path / "saved"))
    reader = tf.train.load_checkpoint(path)
    assert reader.get_tensor("model/counter/.ATTRIBUTES/VARIABLE_VALUE") == 3.0
    assert reader.get_tensor("optimizer/inside/iter/.ATTRIBUTES/VARIABLE_VALUE") == 5
    assert model.weights == []


def test_slots_are_those_of_a_step_and_no_step_is_counted():
    def made():
        return tf_keras.optimizers.legacy.Adam(0.1), tf.Variable([1.0, 2.0], name="kernel")

    stepped, moved = made()
    stepped.apply_gradients([(tf.ones([2]), moved)])
    optimizer, weight = made()
    private_apis.create_slots(optimizer, [weight])
    names = [v.name.removeprefix("Adam/") for v in stepped.variables()]
    assert [v.name for v in optimizer.variables()] == names
    assert int(optimizer.iterations) == 0
    assert not np.any(optimizer.get_slot(weight, "v"))


@pytest.mark.parametrize(
    ("shape", "synchronized", "mean_shape"),
    [((6, 2, 2, 3), True, (3,)), ((6, 3), False, (3,))],
)
def test_batch_statistics_reach_the_hook(shape, synchronized, mean_shape):
    reached = []

    class Norm(private_apis.MovingAverageHook, tf_keras.layers.BatchNormalization):
        def update_average(self, variable, value, momentum, inputs_size):
            reached.append((value.numpy(), momentum, inputs_size))
            return variable.assign(tf.fill(mean_shape, 7.0))

    x = np.random.default_rng(0).normal(2.0, 3.0, shape).astype(np.float32)
    norm = Norm(momentum=0.25, synchronized=synchronized)
    norm(x, training=True)
    rows = x.reshape(-1, 3)
    for (value, momentum, _), expected in zip(
        reached, (rows.mean(axis=0), rows.var(axis=0)), strict=True
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-4)
        assert momentum == 0.25
    assert norm.moving_mean.numpy().tolist() == norm.moving_variance.numpy().tolist() == [7.0] * 3


def test_memory_of_devices_is_told():
    sizes = private_apis.device_memory("CPU")
    assert sizes
    assert all(size > 2**20 for size in sizes)
    assert private_apis.device_memory("no such device") == []


def test_a_checkpoints_graph_names_its_variables(tmp_path):
    variable = tf.Variable(1.0, name="named")
    path = tf.train.Checkpoint(inside=variable).save(str(tmp_path / "saved"))
    graph = private_apis.object_graph_of(tf.train.load_checkpoint(path).get_tensor(GRAPH))
    names = {a.full_name: a.checkpoint_key for node in graph.nodes for a in node.attributes}
    assert names["named"] == "inside/.ATTRIBUTES/VARIABLE_VALUE"


def test_addons_get_the_engine_of_tf_keras(monkeypatch):
    for module in ("engine", "engine.keras_tensor"):
        monkeypatch.delitem(sys.modules, f"keras.src.{module}", raising=False)
    private_apis.alias_keras_engine()
    tensor = importlib.import_module("keras.src.engine.keras_tensor").KerasTensor
    assert isinstance(tf_keras.Input([2]), tensor)


def test_stablehlo_is_written_in_its_oldest_portable_form():
    text = """func.func @main(%arg0: tensor<2xf32>) -> tensor<2xf32> {
      %0 = stablehlo.add %arg0, %arg0 : tensor<2xf32>
      return %0 : tensor<2xf32>
    }"""
    assert b"StableHLO_v0.9.0" in private_apis.portable_artifact(text)
    with pytest.raises(ValueError, match="serialize"):
        private_apis.portable_artifact(text.replace("stablehlo.add", "mhlo.add"))
