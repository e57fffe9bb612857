"""The benchmark of a training step over several processes."""

import os

import pytest

from official_vision.benchmark import scaling
from official_vision.benchmark.communication import communication_text
from official_vision.benchmark.scaling import measure_scaling
from official_vision.errors import UserError
from official_vision.modeling.builder import build_model
from official_vision.modeling.ops.batch_norm import BatchNormalization
from tests import commands
from tests.training import runs


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaling")
    return runs.config(
        folder, folder / "run", runs.save_small(folder, streams=("rgb",)), batch_size=4
    )


def test_each_process_has_cores_and_a_share_of_the_batch(config, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {8, 1, 2, 3, 5})
    cores = scaling._cores(config, (1, 2))
    assert cores == [(1, 2), (3, 5)]
    parts = scaling._parts(config, "float32", 3, cores)
    assert [part.config.train_data.batch_size for part in parts] == [2, 2]
    assert [part.config.train.strategy for part in parts] == ["multi_worker_mirrored"] * 2
    assert parts[0].addresses == parts[1].addresses
    assert len({*parts[0].addresses}) == 2
    (alone,) = scaling._parts(config, "float32", 3, cores[:1])
    assert (alone.config.train_data.batch_size, alone.config.train.strategy) == (4, "one_device")
    assert not alone.addresses


@pytest.mark.parametrize(
    ("counts", "rule"), [((1, 3), "share a batch"), ((1, 4), "a separate core")]
)
def test_workers_that_cannot_share_are_refused(config, monkeypatch, counts, rule):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    with pytest.raises(UserError, match=rule):
        measure_scaling(config, counts, 1)


def test_a_process_sets_its_threads_between_cores_and_strategy(config, monkeypatch):
    order = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: order.append(cores))
    monkeypatch.setattr(scaling, "set_up", order.append)
    monkeypatch.setattr(scaling, "make_strategy", None)
    (part,) = scaling._parts(config, "float32", 1, [(0,)])
    with pytest.raises(TypeError, match="NoneType"):
        scaling._work(part)
    assert order == [(0,), part.config.train]


def test_other_benchmarks_than_training_have_no_workers():
    line = commands.refusal("benchmark", "--what=forward", "--grow=workers=1,2")
    assert line.startswith("error: Workers train together.")


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_two_processes_take_one_step_together(config):
    result = measure_scaling(config, (1, 2), 3, ("float32",))
    one, two = result["rows"]
    assert [row["name"] for row in result["rows"]] == ["workers 1", "workers 2"]
    assert one["batch_size"] == two["batch_size"] == 4
    assert two["gflop"] == pytest.approx(one["gflop"])
    for row, count in ((one, 1), (two, 2)):
        assert row["clips_per_second"]["median"] == pytest.approx(4 / row["seconds"]["median"])
        products = row["gflops"]["median"] / row["share_of_gemm"]
        # Of so many processes: one's is not exactly the other's.
        assert products == pytest.approx(count * result["gemm_gflops"]["float32"], rel=0.8)
        assert row["workers"] == count
        assert row["efficiency"] == pytest.approx(
            one["seconds"]["median"] / row["seconds"]["median"] / count
        )
    assert (one["exchanges"], one["exchanged_megabytes"]) == (0, 0)
    network = build_model(config.model)
    norms = [layer for layer in network.submodules if isinstance(layer, BatchNormalization)]
    channels = sum(norm.gamma.shape[0] for norm in norms)
    weights = sum(variable.shape.num_elements() for variable in network.trainable_variables)
    # Of each norm two, of all gradients one pack.
    assert two["exchanges"] == 2 * len(norms) + 1
    values = 4 * channels + len(norms) + weights
    assert two["exchanged_megabytes"] == pytest.approx(4e-6 * values)
    assert 0 < two["communication_seconds"]["median"] < two["seconds"]["median"] * 5
    assert "workers 2, float32: efficiency" in communication_text(result)
