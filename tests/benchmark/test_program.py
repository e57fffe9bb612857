"""Programs of functions and of training steps: the signature, and which result is which variable's next value."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from official_vision.benchmark.program.folder import write_programs
from official_vision.errors import UserError
from official_vision.serving.export.converters import program as conversion
from official_vision.serving.export.converters.program import Program, products, to_program
from tests.training import runs
from tools.run_program import Running, compare, drawn, read_folders

ROLES = ("batch", "seed", "step", "variable")


def running(program: Program, folder: Path) -> Running:
    """The program in JAX's runtime."""
    import jax

    jax.config.update("jax_enable_x64", True)
    (folder / "p.stablehlo").write_bytes(program.artifact)
    signature = {"folder": folder, "file": "p.stablehlo"}
    return Running(
        jax.devices()[0],
        {**signature, "results": [dataclasses.asdict(result) for result in program.results]},
    )


def test_variables_become_inputs_and_results(tmp_path: Path) -> None:
    weights, momentum = tf.Variable([[1.0, 2.0]], name="m/w"), tf.Variable([[5.0, 5.0]], name="m/v")
    rate, count = tf.Variable(0.5, name="m/rate"), tf.Variable(7, dtype=tf.int64, name="m/iter")
    shift = tf.constant([[3.0, 4.0]])

    def step(batch: dict[str, Any]) -> tf.Tensor:
        momentum.assign(0.5 * momentum + batch["x"] + shift)
        weights.assign_sub(rate * momentum)
        count.assign_add(1)
        return tf.reduce_sum(weights * tf.cast(count, tf.float32))

    program = to_program(step, {"x": tf.constant([[1.0, -1.0]])}, ["loss"])
    roles = {value.name: value.role for value in program.inputs}
    assert roles.pop("x") == "batch"
    assert {
        "w": "variable",
        "v": "variable",
        "rate": "variable",
        "iter": "step",
    }.items() <= roles.items()
    fed = {program.inputs[result.feeds].name for result in program.results[1:]}
    assert fed == {"w", "v", "iter"}
    run = running(program, tmp_path)
    run.put(program.initial)
    w, v, n = np.array([[1.0, 2.0]]), np.array([[5.0, 5.0]]), 7
    for _ in range(3):
        v = 0.5 * v + [[1.0, -1.0]] + np.array([[3.0, 4.0]])
        w, n = w - 0.5 * v, n + 1
        assert float(run.step()) == pytest.approx((w * n).sum())
    assert weights.numpy().tolist() == [[1.0, 2.0]]  # TensorFlow's stay


def test_float32_products_are_marked_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "portable_artifact", str.encode)  # the text, to look at
    square = tf.Variable(tf.ones([4, 4]))

    def artifact(precision: str) -> bytes:
        with products(precision):
            return to_program(lambda x: x @ square, tf.ones([4, 4]), ["logits"]).artifact

    assert b"[HIGHEST, HIGHEST]" in artifact("float32")
    assert b"[DEFAULT, DEFAULT]" in artifact("tf32")
    assert tf.config.experimental.tensor_float_32_execution_enabled()


def test_inputs_are_drawn_like_the_recorded_ones() -> None:
    random = np.random.default_rng(1)

    def values(dtype: str, **initial: Any) -> np.ndarray:
        return drawn({"initial": initial, "shape": [100, 100], "dtype": dtype}, random)

    normal = values("float32", kind="normal", mean=3.0, deviation=0.5)
    assert normal.dtype == np.float32
    assert normal.mean() == pytest.approx(3.0, abs=0.03)
    assert normal.std() == pytest.approx(0.5, rel=0.05)
    choice = values("uint8", kind="choice", values=[3, 9], shares=[0.9, 0.1])
    assert set(np.unique(choice)) == {3, 9}
    assert (choice == 9).mean() == pytest.approx(0.1, abs=0.02)
    whole = values("uint8", kind="integers", low=250, high=255)
    assert (whole.min(), whole.max()) == (250, 255)
    assert (values("int64", kind="constant", value=4) == 4).all()


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--output names a folder to come"):
        write_programs(None, "small", tmp_path, ("train",), ("float32",), [], print)


@pytest.mark.slow
def test_a_step_with_all_that_a_step_can_have(tmp_path: Path) -> None:
    """Bilevel updates, two optimizers, averages, batch norms computed again and dropout, whose masks are recorded."""
    config = runs.config(
        tmp_path,
        tmp_path / "run",
        runs.save_small(tmp_path, streams=("rgb",)),
        batch_size=2,
        size=16,
        ema_decay=0.9,
        rematerialise="norms",
        dropout_rate=0.5,
    )
    adam = dataclasses.replace(config.optimizer, name="adam", learning_rate=0.01)
    connectivity = dataclasses.replace(config.connectivity, updates="bilevel")
    config = dataclasses.replace(config, connectivity=connectivity, architecture_optimizer=adam)
    write_programs(config, "small", tmp_path / "p", ("train",), ("float32",), [], print)
    (signature,) = read_folders([str(tmp_path / "p")])
    names = {role: [v["name"] for v in signature["inputs"] if v["role"] == role] for role in ROLES}
    assert names["batch"] == [f"{n}/{name}" for n in (0, 1) for name in ("rgb", "labels", "mask")]
    assert names["seed"] == ["0/dropout_seed", "1/dropout_seed"]
    assert names["step"] == ["iter", "iter"]  # of each optimizer
    assert sum(name.endswith("average") for name in names["variable"]) > 20
    feeds = [result["feeds"] for result in signature["results"][1:]]
    assert len(set(feeds)) == len(feeds)
    import jax

    jax.config.update("jax_enable_x64", True)
    result = compare(Running(jax.devices()[0], signature), signature)
    assert result["difference"] < 1e-3
