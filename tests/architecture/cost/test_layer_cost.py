"""Formulas of single layers, against numbers worked out by hand."""

from official_vision.architecture.cost.layer_cost import (
    Count,
    batch_norm,
    convolution,
    dense,
    max_pool,
    summed,
    total,
)


def test_convolution():
    # 3x3, 16 -> 64 channels, 2 frames of 7x7: 9216 weights, each used at 98 positions.
    count = convolution(positions=2 * 7 * 7, taps=9, inputs=16, outputs=64)
    assert count == Count(trainable=9216, flops=2 * 98 * 9216, activation_bytes=4 * 98 * 64)


def test_batch_norm_has_four_parameters_a_channel():
    assert batch_norm(10, 8) == Count(trainable=16, moving=16, elementwise=240)
    assert batch_norm(10, 8, activates=False).elementwise == 160
    assert batch_norm(10, 8).parameters == 32


def test_dense():
    assert dense(3, 10, 5, has_bias=False) == Count(trainable=50, flops=300, activation_bytes=60)
    assert dense(3, 10, 5) == Count(trainable=55, flops=300, elementwise=15, activation_bytes=60)


def test_max_pool_compares_all_but_one():
    assert max_pool(4, 9, 8) == Count(elementwise=8 * 32, activation_bytes=4 * 32)


def test_a_sum_of_one_map_is_free():
    assert summed(100, 1) == Count()
    assert summed(100, 3) == Count(elementwise=200, activation_bytes=400)


def test_total():
    assert total([]) == Count()
    assert total([Count(1, 2, 3, 4, 5), Count(10, 20, 30, 40, 50)]) == Count(11, 22, 33, 44, 55)
