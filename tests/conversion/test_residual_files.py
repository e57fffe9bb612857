"""Files that are damaged, pickled or of another network get one line with the fault."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from safetensors.numpy import save_file

from official_vision.conversion.converted import Options
from official_vision.conversion.residual.readers import read_tensors
from official_vision.conversion.residual.residual_weights import convert_resnet
from official_vision.conversion.sources import source_of
from official_vision.errors import UserError
from official_vision.specs import ModelSpec
from tests import commands

MODULES = (3, 4, 6, 3)
MODULE_BY_MODULE = [(level, index) for level, n in enumerate(MODULES, 1) for index in range(n)]


def norm(name, channels):
    kinds = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{kind}": np.full(channels, 0.5, np.float32) for kind in kinds}


def thin_resnet(width=2, classes=3):
    """A ResNet-50 of a few channels with torchvision's names."""
    tensors = {"conv1.weight": np.ones((width, 3, 7, 7), np.float32), **norm("bn1", width)}
    fed = width
    for level, index in MODULE_BY_MODULE:
        middle, module = width * 2 ** (level - 1), f"layer{level}.{index}"
        shapes = [(middle, fed, 1, 1), (middle, middle, 3, 3), (4 * middle, middle, 1, 1)]
        for number, shape in enumerate(shapes, 1):
            tensors[f"{module}.conv{number}.weight"] = np.ones(shape, np.float32)
            tensors |= norm(f"{module}.bn{number}", shape[0])
        if index == 0:
            shape = (4 * middle, fed, 1, 1)
            tensors[f"{module}.downsample.0.weight"] = np.ones(shape, np.float32)
            tensors |= norm(f"{module}.downsample.1", 4 * middle)
        fed = 4 * middle
    tensors["fc.weight"] = np.ones((classes, fed), np.float32)
    tensors["fc.bias"] = np.ones(classes, np.float32)
    return tensors


def refusal(path, options=None):
    with pytest.raises(UserError) as error:
        convert_resnet(str(path), options or Options())
    (line,) = str(error.value).splitlines()
    assert "Received: " in line
    return line


def refusal_of(tensors, folder):
    save_file(tensors, folder / "weights.safetensors")
    return refusal(folder / "weights.safetensors")


THIN = Options(spec=ModelSpec(width_multiplier=1 / 32))


def test_thin_networks_fit_thin_ones(tmp_path):
    save_file(thin_resnet(), tmp_path / "weights.safetensors")
    coverage = convert_resnet(str(tmp_path / "weights.safetensors"), THIN).coverage
    initial = {weight.variable for weight in coverage.weights if weight.status == "initial"}
    assert initial == {"node_08/fusion/strength_logits"}


def test_bfloat16_is_read(tmp_path):
    value = np.array([[1.5, -2.25]])
    save_file({"x": value.astype(tf.bfloat16.as_numpy_dtype)}, tmp_path / "x.safetensors")
    tensors = read_tensors(str(tmp_path / "x.safetensors"))
    assert tensors["x"].dtype == np.float32
    np.testing.assert_array_equal(tensors["x"], value)


@pytest.mark.parametrize("suffix", [".h5", ".keras", ".safetensors"])
def test_truncated_and_foreign_files_are_refused(suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(thin_resnet(), path)
    else:
        tf_keras.Sequential([tf_keras.layers.Dense(900, input_shape=(900,))]).save(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no weights", b"\x80\x04K\x01."):
        path.write_bytes(content)
        assert source_of(str(path)) == "resnet"
        assert "must be a whole .h5, .keras or .safetensors file" in refusal(path)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_other_keras_networks_are_refused(suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(2,))]).save(path)
    assert "whose tensors have other names ('dense" in refusal(path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
def test_pickled_files_are_refused_with_the_way_out(suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(b"\x80\x04K\x01.")
    assert "safetensors.torch.save_file" in refusal(path)
    with pytest.raises(UserError, match="weights_only=True"):
        source_of(str(path))


def test_a_pickle_under_another_name_is_not_executed(tmp_path):
    path = tmp_path / "weights.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "archive/data.pkl", b"cos\nsystem\n(S'touch " + bytes(tmp_path / "x") + b"'\ntR."
        )
    assert "cannot be read" in refusal(path)
    assert not (tmp_path / "x").exists()


def _without(name):
    def change(tensors):
        return {key: value for key, value in tensors.items() if key != name}

    return change


def _with(name, shape):
    return lambda tensors: {**tensors, name: np.ones(shape, np.float32)}


def _two_convolutions(tensors):
    return {k: v for k, v in tensors.items() if ".conv3." not in k and ".bn3." not in k}


def _cut(tensors):
    return {k: v for k, v in tensors.items() if not k.startswith("layer4")}


def _one_less(tensors):
    return {k: v for k, v in tensors.items() if not k.startswith("layer3.5.")}


def _not_finite(tensors):
    return {**tensors, "bn1.bias": np.array([1, np.nan], np.float32)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_two_convolutions, "a ResNet-18 or ResNet-34"),
        (_with("conv1.0.weight", (2, 3, 3, 3)), "deep stem"),
        (_with("layer1.0.downsample.2.weight", (8,)), "pooled shortcuts"),
        (_with("layer1.0.se.fc1.weight", (2, 8, 1, 1)), "channel attention"),
        (_with("stem.0.weight", (2, 3, 1, 7, 7)), "a video network"),
        (_with("layer2.1.conv2.weight", (4, 2, 3, 3)), "are grouped (2)"),
        (_with("model.conv1.weight", (2, 3, 7, 7)), "model.conv1.weight are one"),
        (_with("layer1.0.bn1.bias", (3,)), "layer1.0.bn1.bias has (3,), not (2,)"),
        (_with("layer1.0.conv1.weight", (2, 2)), "layer1.0.conv1.weight has (2, 2)"),
        (_with("fc.weight", (4, 64)), "whose classifier has shapes"),
        (_without("layer1.0.bn1.running_var"), "without the moving_variance of the first"),
        (_without("layer4.0.downsample.0.weight"), "without the kernel of the projection"),
        (_without("layer3.2.conv2.weight"), "without the kernel of the middle"),
        (_cut, "with tensors of levels 1, 2, 3"),
        (_one_less, "with (3, 4, 5, 3)"),
        (_not_finite, "not finite"),
        (lambda tensors: {"a": tensors["bn1.bias"]}, "have other names ('a')"),
        (lambda tensors: tensors, "of which nothing fits two_stream_r2plus1d_50"),
    ],
)
def test_other_networks_are_refused_by_the_reason(change, reason, tmp_path):
    assert reason in refusal_of(change(thin_resnet()), tmp_path)


def test_resnet_v2_is_refused(tmp_path):
    with h5py.File(tmp_path / "v2.h5", "w") as file:
        file["conv2_block1_preact_bn/conv2_block1_preact_bn/gamma:0"] = np.ones(4, np.float32)
    assert "a ResNet-V2" in refusal(tmp_path / "v2.h5")


def test_links_out_of_an_h5_file_are_not_followed(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(16))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset(
            "conv1_conv/kernel:0", (4,), "f4", external=[(str(tmp_path / "secret"), 0, 16)]
        )
    assert "lies in another file" in refusal(tmp_path / "x.h5")
    with h5py.File(tmp_path / "large.h5", "w") as file:
        file.create_dataset("conv1_conv/kernel:0", (2**40,), "f4", chunks=(1024,))
    assert "more than" in refusal(tmp_path / "large.h5")


def test_weights_by_number_need_the_model(tmp_path):
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.ones(4, np.float32)
    assert "save the model as .keras" in refusal(tmp_path / "x.weights.h5")
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["layers/conv2d/vars/0"] = np.ones(4, np.float32)
    for config in ("{", "[]", json.dumps({"config": {"layers": [{}]}})):
        with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
            archive.writestr("config.json", config)
            archive.writestr("model.weights.h5", content.getvalue())
        assert "cannot be read" in refusal(tmp_path / "x.keras")


def test_networks_of_other_blocks_are_refused(tmp_path):
    save_file(thin_resnet(), tmp_path / "weights.safetensors")
    options = Options(structure="assemblenet_plus_plus_lite")
    assert "fit bottleneck blocks alone" in refusal(tmp_path / "weights.safetensors", options)


def test_the_command_writes_a_run_s_folder(tmp_path):
    save_file(thin_resnet(), tmp_path / "weights.safetensors")
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    done = commands.run(
        "convert",
        f"--checkpoint={tmp_path / 'weights.safetensors'}",
        f"--output={tmp_path / 'run'}",
        f"--labels={tmp_path / 'labels.txt'}",
        "--gin_bindings=ModelSpec.width_multiplier = 0.03125",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "resnet, 2-D ResNet-50" in done.stdout
    report = json.loads((tmp_path / "run" / "coverage.json").read_text())
    assert report["parameters"]["initial"] == 2
    assert (tmp_path / "run" / "labels.txt").read_text() == "a\nb\nc\n"
