"""The benchmark of networks: its arithmetic, what it runs, and the growth that it fits."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.cost.network_cost import estimate
from official_vision.architecture.formats import read_architecture
from official_vision.benchmark import network_speed as network
from official_vision.benchmark.growth import draw_growth, exponents, grown, growth_text, parsed
from official_vision.benchmark.network_speed import Contender, measure_networks, network_text
from official_vision.errors import UserError
from official_vision.training.cost_setting import setting_of
from tests.training import runs


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    return runs.config(folder, folder / "run", runs.save_small(folder), batch_size=2)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["forward", "train"])
def test_figures_fit_each_other_and_the_cost_model(config, what):
    settings = {"one": config, "again": config}
    result = measure_networks(settings, what, 2, ("float32",), in_processes=False)
    graph = read_architecture(config.model.architecture)
    flops = 2 * estimate(graph, setting_of(config.model, config.train_data)).total.flops
    assert [row["name"] for row in result["rows"]] == ["one", "again"]
    for row in result["rows"]:
        seconds, gflops = row["seconds"], row["gflops"]
        assert 0 < seconds["least"] <= seconds["median"] <= seconds["most"]
        assert row["gflop"] == pytest.approx(flops * (3 if what == "train" else 1) / 1e9)
        assert gflops["most"] == pytest.approx(row["gflop"] / seconds["least"])
        assert row["clips_per_second"]["least"] == pytest.approx(2 / seconds["most"])
        share = gflops["median"] / result["gemm_gflops"]["float32"]
        assert row["share_of_gemm"] == pytest.approx(share)
        assert 0 < share < 1
    lines = network_text(result).splitlines()
    assert len(lines) == 4
    ratio = result["rows"][0]["seconds"]["median"] / result["rows"][1]["seconds"]["median"]
    assert f" {ratio:.2f} " in lines[3]


@pytest.mark.slow
def test_a_separate_process_reports_memory_and_start(config):
    result = measure_networks({"one": config}, "train", 1, ("float32",))
    (row,) = result["rows"]
    assert 200 < row["peak_mebibytes"] < 4000
    assert row["start_to_first_step_seconds"] > row["first_call_seconds"] / 2
    assert f"{row['peak_mebibytes']:.0f}" in network_text(result).splitlines()[2]


@pytest.mark.slow
def test_a_training_step_of_the_benchmark_trains(config):
    run = network.contender("small", config, "train", "float32").run
    losses = [float(run()) for _ in range(6)]
    assert losses[-1] < losses[0]


def test_training_alone_has_the_threads_of_training(config, monkeypatch):
    numbers = []
    monkeypatch.setattr(network, "set_up", numbers.append)
    network.contender("small", config, "forward", "float32")
    assert not numbers
    monkeypatch.setattr(network, "VideoTask", None)  # all computation comes later
    with pytest.raises(TypeError, match="NoneType"):
        network.contender("small", config, "train", "bfloat16")
    (train,) = numbers
    assert train == config.train


@pytest.mark.parametrize(("threads", "parts"), [(1, 3), (2, 1), (3, 1)])
def test_products_of_one_thread_each_run_on_all_cores(threads, parts, monkeypatch):
    monkeypatch.setattr(network, "_MATRIX", 64)
    sums = {}
    for count in (threads, 8):  # with many threads a product is whole
        monkeypatch.setattr(network, "usable_cores", lambda: 3)
        monkeypatch.setattr(network, "threads_in_force", lambda count=count: count)
        tf.random.set_seed(1)
        product = network.matrix_product("float32")
        sums[count] = float(product.run())
        assert product.flops == 2 * 64**3
    assert sums[threads] == pytest.approx(sums[8], rel=1e-4)
    matrix = tf.random.normal([64, 2])
    monkeypatch.setattr(network, "threads_in_force", lambda: threads)
    rows = network.row_parts(matrix)
    assert len(rows) == parts
    np.testing.assert_array_equal(tf.concat(rows, axis=0), matrix)


def test_contenders_take_turns():
    order = []
    rivals = [
        Contender(name, "float32", 1, 1.0, lambda name=name: order.append(name)) for name in "abc"
    ]
    seconds = network.in_turn(rivals, 3)
    assert order == list("abcabcabc")
    assert [len(times) for times in seconds] == [3, 3, 3]


def _result(exponent, flops_exponent):
    rows = [
        {
            "name": f"frames {value}",
            "precision": "float32",
            "gflop": 5.0 * value**flops_exponent,
            "seconds": {"median": 0.3 * value**exponent},
        }
        for value in (4, 8, 32)
    ]
    return {"what": "forward", "gemm_gflops": {"float32": 1.0}, "rows": rows}


def test_the_exponent_is_the_growths():
    exponent = exponents(_result(1.3, 1.0))["float32"]
    assert exponent["seconds"] == pytest.approx(1.3)
    assert exponent["gflop"] == pytest.approx(1.0)
    assert "frames ** 1.30, arithmetic as frames ** 1.00" in growth_text(_result(1.3, 1.0))


def test_the_picture_shows_times_beside_arithmetic(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda figure, *_, **__: drawn.append(figure)
    )
    draw_growth(_result(2.0, 1.0), tmp_path / "growth.png")
    times, arithmetic = drawn[0].axes[0].lines
    np.testing.assert_allclose(times.get_ydata(), [0.3 * v**2 for v in (4, 8, 32)])
    np.testing.assert_allclose(arithmetic.get_ydata(), [0.3 * 16 * v / 4 for v in (4, 8, 32)])


def test_one_setting_grows(config):
    configs = grown(config, *parsed("size=32,64"))
    assert list(configs) == ["size 32", "size 64"]
    assert configs["size 64"].train_data.size == configs["size 64"].validation_data.size == 64
    assert dataclasses.replace(configs["size 64"].train_data, size=32) == config.train_data
    assert grown(config, *parsed("width=0.5,1"))["width 0.5"].model.width_multiplier == 0.5
    assert grown(config, *parsed("batch=1,2"))["batch 1"].train_data.batch_size == 1


@pytest.mark.parametrize("text", ["frames", "frames=8", "frames=8,8", "depth=1,2", "size=a,b", ""])
def test_other_growth_is_refused(text):
    with pytest.raises(UserError, match="--grow is NAME=VALUE"):
        parsed(text)
