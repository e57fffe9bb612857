"""Weights of 3-D residual networks go to their places, with the names of PySlowFast and torchvision."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from official_vision.conversion.converted import Options
from official_vision.conversion.residual.video import convert_r2plus1d, convert_slowfast
from official_vision.conversion.sources import SOURCES, source_of
from official_vision.errors import UserError
from official_vision.modeling.ops import frame_layout as time_axis
from official_vision.specs import ModelSpec
from tests.conversion.system_python import run_by_torch

MODULES = (3, 4, 6, 3)


class Writer:
    """Random tensors by name."""

    def __init__(self):
        self.rng = np.random.default_rng(0)
        self.tensors = {}

    def convolution(self, name, norm, *shape):
        """Of [out, in, time, height, width], and the batch norm after it."""
        deviation = np.sqrt(2 / np.prod(shape[1:]))
        draw = self.rng.standard_normal(shape, np.float32)
        self.tensors[f"{name}.weight"] = draw * np.float32(deviation)
        for kind, low, high in (
            ("weight", 0.5, 1),
            ("bias", -0.1, 0.1),
            ("running_mean", -0.1, 0.1),
            ("running_var", 0.5, 1.5),
        ):
            values = self.rng.uniform(low, high, shape[0]).astype(np.float32)
            self.tensors[f"{norm}.{kind}"] = values
        self.tensors[f"{norm}.num_batches_tracked"] = np.array(7)


def slowfast_tensors(width=64):
    """SlowFast-50 8x8 of PySlowFast, whose fast pathway has an eighth of the channels."""
    writer = Writer()
    for pathway, stem, fused in ((0, width, width // 4), (1, width // 8, 0)):
        frames = 5 if pathway else 1
        writer.convolution(
            f"s1.pathway{pathway}_stem.conv", f"s1.pathway{pathway}_stem.bn", stem, 3, frames, 7, 7
        )
        fed = stem + fused
        for level, modules in enumerate(MODULES, 1):
            middle = stem * 2 ** (level - 1)
            for index in range(modules):
                module = f"s{level + 1}.pathway{pathway}_res{index}"
                frames = 3 if pathway or level > 2 else 1
                branch = f"{module}.branch2"
                writer.convolution(f"{branch}.a", f"{branch}.a_bn", middle, fed, frames, 1, 1)
                writer.convolution(f"{branch}.b", f"{branch}.b_bn", middle, middle, 1, 3, 3)
                writer.convolution(f"{branch}.c", f"{branch}.c_bn", 4 * middle, middle, 1, 1, 1)
                if index == 0:
                    writer.convolution(
                        f"{module}.branch1", f"{module}.branch1_bn", 4 * middle, fed, 1, 1, 1
                    )
                fed = 4 * middle
            fed += 0 if pathway else fed // 4
    writer.convolution("s1_fuse.conv_f2s", "s1_fuse.bn", width // 4, width // 8, 7, 1, 1)
    writer.tensors["head.projection.weight"] = np.ones((5, 36 * width), np.float32)
    writer.tensors["head.projection.bias"] = np.ones(5, np.float32)
    return writer.tensors


@pytest.fixture(scope="module")
def slowfast(tmp_path_factory):
    path = tmp_path_factory.mktemp("slowfast") / "slowfast.safetensors"
    tensors = slowfast_tensors()
    save_file(tensors, path)
    return str(path), tensors, convert_slowfast(str(path), Options())


@pytest.mark.slow
def test_a_whole_module_of_slowfast_computes_what_pytorch_does(slowfast):
    """slowfast_50 has the slow pathway's frames, every fourth, beside others: 4 frames apart it sees the same."""
    path, _, converted = slowfast
    assert source_of(path) == "slowfast"
    assert converted.architecture.nodes[8].temporal_dilation == 4
    folder = Path(path).parent
    run_by_torch("torch_video_networks.py", "slowfast", folder)
    with np.load(folder / "io.npz") as io:
        x, theirs = io["x"], io["y"]
    frames = np.random.default_rng(1).uniform(0, 1, (12, *x.shape[1:])).astype(np.float32)
    frames[::4] = x
    ours = converted.model.blocks()[8].modules[1](frames, 12, training=False).numpy()[::4]
    assert np.abs(ours - theirs).max() < 1e-5 * np.abs(theirs).max()
    assert np.abs(theirs - x).max() > 0.5


def test_of_slowfast_the_last_level_fits_but_for_its_input(slowfast):
    _, tensors, converted = slowfast
    coverage = converted.coverage
    norms = 4 * 512 + 4 * 2048  # of a 3x3 and the 1x1 after it
    both = 3 * (9 * 512 * 512 + 512 * 2048 + norms)
    temporal = 3 * 2048 * 512 + 4 * 512  # of module 1; module 2 has no kernel over time here
    assert coverage.by_node()["node_08"]["loaded"] == both + temporal
    assert coverage.parameters("inflated") == 0
    taken = {name for weight in coverage.weights for name in weight.source}
    skipped = {entry.name for entry in coverage.skipped}
    assert taken | skipped == set(tensors)
    assert not taken & skipped
    reasons = {weight.variable: weight.reason for weight in coverage.weights}
    assert reasons["node_08/module_2/first/kernel"] == "frames of the kernel differ from the file's"
    assert converted.spec.num_classes == 5


@pytest.mark.slow
def test_blocks_read_the_pathway_that_agrees_most(tmp_path):
    """Slow widths of 128 have a fast pathway of 16, that of slowfast_50's fast stream."""
    tensors = {name: np.asarray(value) for name, value in slowfast_tensors(128).items()}
    save_file(tensors, tmp_path / "wide.safetensors")
    coverage = convert_slowfast(str(tmp_path / "wide.safetensors"), Options()).coverage
    sources = {weight.variable: weight.source for weight in coverage.weights}
    # A fast module's temporal convolution 64 -> 16 of level 1.
    assert sources["node_03/module_1/first/kernel"] == ("s2.pathway1_res1.branch2.a.weight",)
    assert sources["node_07/module_5/first/kernel"] == ("s4.pathway1_res5.branch2.a.weight",)
    assert sources["node_03/module_0/projection/kernel"] == ("s2.pathway1_res0.branch1.weight",)


def test_what_fits_nowhere_is_refused(tmp_path):
    save_file(slowfast_tensors(8), tmp_path / "thin.safetensors")
    with pytest.raises(UserError, match="of which nothing fits slowfast_50"):
        convert_slowfast(str(tmp_path / "thin.safetensors"), Options())


def r2plus1d_tensors(width, with_third=True):
    writer = Writer()
    writer.convolution("stem.0", "stem.1", 45, 3, 1, 7, 7)
    writer.convolution("stem.3", "stem.4", width, 45, 3, 1, 1)
    fed = width
    for level, modules in enumerate(MODULES, 1):
        middle = width * 2 ** (level - 1)
        for index in range(modules):
            module, between = f"layer{level}.{index}", 2 * middle + 16
            writer.convolution(f"{module}.conv1.0", f"{module}.conv1.1", middle, fed, 1, 1, 1)
            pair = f"{module}.conv2.0"
            writer.convolution(f"{pair}.0", f"{pair}.1", between, middle, 1, 3, 3)
            writer.convolution(f"{pair}.3", f"{module}.conv2.1", middle, between, 3, 1, 1)
            if with_third:
                writer.convolution(
                    f"{module}.conv3.0", f"{module}.conv3.1", 4 * middle, middle, 1, 1, 1
                )
            if index == 0:
                writer.convolution(
                    f"{module}.downsample.0", f"{module}.downsample.1", 4 * middle, fed, 1, 1, 1
                )
            fed = 4 * middle
    writer.tensors["fc.weight"] = np.ones((5, fed), np.float32)
    writer.tensors["fc.bias"] = np.ones(5, np.float32)
    return writer.tensors


def test_r2plus1d_of_bottlenecks_brings_its_1x1_convolutions(tmp_path):
    path = str(tmp_path / "weights.safetensors")
    tensors = r2plus1d_tensors(4)
    save_file(tensors, path)
    assert source_of(path) == "r2plus1d"
    options = Options(spec=ModelSpec(width_multiplier=1 / 16))
    converted = SOURCES["r2plus1d"].convert(path, options)
    weights = {weight.variable: weight for weight in converted.coverage.weights}
    for node, level in ((2, 1), (3, 1), (6, 3), (7, 3), (8, 4)):
        for module in range(MODULES[level - 1]):
            name, source = f"node_{node:02d}/module_{module}", f"layer{level}.{module}"
            first, last = weights[f"{name}/first/kernel"], weights[f"{name}/last/kernel"]
            assert first.status == ("inflated" if module % 2 else "loaded")
            assert (first.source, last.source) == (
                (f"{source}.conv1.0.weight",),
                (f"{source}.conv3.0.weight",),
            )
            assert weights[f"{name}/middle/kernel"].reason == "widths differ from the file's"
    layer = converted.model.blocks()[8].modules[1]
    kernel = tensors["layer4.1.conv1.0.weight"][:, :, 0, 0, 0].T
    np.testing.assert_array_equal(layer.first.kernel[1, 0], kernel)
    np.testing.assert_array_equal(layer.first.kernel[0], 0 * layer.first.kernel[0])
    taken = {name for weight in converted.coverage.weights for name in weight.source}
    assert taken | {entry.name for entry in converted.coverage.skipped} == set(tensors)
    assert converted.spec.rgb_mean == (0.43216, 0.394666, 0.37645)


def test_r2plus1d_18_is_refused(tmp_path):
    save_file(r2plus1d_tensors(4, with_third=False), tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match="as R\\(2\\+1\\)D-18's"):
        convert_r2plus1d(str(tmp_path / "weights.safetensors"), Options())


@pytest.mark.slow
def test_r2plus1d_s_1x1_convolutions_compute_what_torchvision_s_do(tmp_path):
    run_by_torch("torch_video_networks.py", "r2plus1d", tmp_path)
    with np.load(tmp_path / "io.npz") as io:
        x, first, middle, last = (io[name] for name in ("x", "first", "middle", "last"))
    converted = convert_r2plus1d(str(tmp_path / "weights.safetensors"), Options())
    module = converted.model.blocks()[8].modules[1]
    y = time_axis.over_time(x, len(x), module.first)
    ours = tf.nn.relu(module.first_norm(y, training=False)).numpy()
    assert np.abs(ours - first).max() < 1e-5 * np.abs(first).max()
    ours = module.last_norm(module.last(middle), training=False).numpy()
    assert np.abs(ours - last).max() < 1e-5 * np.abs(last).max()
