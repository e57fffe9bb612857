"""On a still video an inflated ResNet computes what tf_keras's and torchvision's compute for the picture."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from safetensors.numpy import load_file, save_file

from official_vision.architecture.formats import save_architecture
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.conversion.converted import Options
from official_vision.conversion.residual.residual_weights import convert_resnet
from official_vision.conversion.sources import SOURCES, source_of
from official_vision.specs import ModelSpec
from tests.conversion.system_python import run_by_torch

TOLERANCE = 1e-4
FRAMES = 4
CHAIN = Architecture(
    "chain",
    (
        Stem("rgb", 64),
        Block(1, (0,), 64),
        Block(2, (1,), 128, 1, 2),
        Block(3, (2,), 256, 1, 2),
        Block(4, (3,), 512, 1, 2),
    ),
)


def relative_difference(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def still(pictures):
    """uint8 [batch, height, width, 3] -> the same for FRAMES frames."""
    return np.repeat(pictures[:, None], FRAMES, axis=1)


def compare_chain(converted, io):
    """A chain of rgb blocks with the 2-D network's features, level 3 and logits."""
    model, clips = converted.model, still(io["x"])
    ends = model.endpoints({"rgb": clips}, training=False)
    # Every frame of every clip is the picture.
    assert relative_difference(ends["3"], np.repeat(io["level_3"], FRAMES, 0)) < TOLERANCE
    features = tf.reduce_mean(ends["4"], [1, 2])
    assert relative_difference(features, np.repeat(io["features"], FRAMES, 0)) < TOLERANCE
    logits = model({"rgb": clips}, training=False)["logits"]
    assert relative_difference(logits, io["logits"]) < TOLERANCE


def compare_two_streams(converted, io):
    model, clips = converted.model, still(io["x"])
    flow = np.random.default_rng(1).normal(size=(*clips.shape[:4], 2)).astype(np.float32)
    ends = model.endpoints({"rgb": clips, "flow": flow}, training=False)
    assert relative_difference(ends["6"], np.repeat(io["level_3"], FRAMES, 0)) < TOLERANCE


def randomised(network):
    """Gives a network random norms and biases, which a new one has not."""
    rng = np.random.default_rng(0)
    for variable in network.weights:
        if "gamma" in variable.name:
            variable.assign(rng.uniform(0.5, 1, variable.shape))
        elif "variance" in variable.name:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif "kernel" not in variable.name:
            variable.assign(rng.normal(0, 0.1, variable.shape))


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "chain.json"
    save_architecture(CHAIN, path)
    return str(path)


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    """The folder of a Keras ResNet-50 in three forms, and what it computes."""
    folder = tmp_path_factory.mktemp("keras")
    tf_keras.utils.set_random_seed(0)
    network = tf_keras.applications.ResNet50(
        weights=None, classes=5, input_shape=(64, 64, 3), classifier_activation=None
    )
    randomised(network)
    network.save(folder / "model.h5")
    network.save(folder / "model.keras")
    network.save_weights(folder / "weights.h5")
    tf_keras.Sequential([network]).save(folder / "nested.keras")
    tf_keras.Sequential([network]).save(folder / "nested.h5")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    read = [network.get_layer(name).output for name in ("conv4_block6_out", "avg_pool")]
    fed = tf_keras.applications.resnet50.preprocess_input(pictures.astype(np.float32))
    level_3, features, logits = tf_keras.Model(network.input, [*read, network.output])(fed)
    io = {"x": pictures, "level_3": level_3, "features": features, "logits": logits}
    return folder, {name: np.asarray(value) for name, value in io.items()}


@pytest.fixture(scope="module")
def torchvision(tmp_path_factory):
    """The folder of a torchvision ResNet-50, and what it computes."""
    folder = tmp_path_factory.mktemp("torchvision")
    run_by_torch("torchvision_networks.py", "resnet50", folder)
    return folder, dict(np.load(folder / "io.npz"))


@pytest.fixture(scope="module")
def of_keras(keras, chain):
    """What is made of the file of weights alone."""
    return convert_resnet(str(keras[0] / "weights.h5"), Options(structure=chain))


def test_a_keras_resnet_gives_its_features_and_logits(keras, of_keras):
    compare_chain(of_keras, keras[1])
    assert of_keras.coverage.share("initial") == 0
    assert of_keras.coverage.skipped == ()
    assert (of_keras.spec.gate, of_keras.spec.activation) == ("none", "softmax")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.h5", "model.keras", "nested.keras", "nested.h5"])
def test_a_whole_keras_model_gives_what_its_weights_do(keras, of_keras, chain, name):
    converted = convert_resnet(str(keras[0] / name), Options(structure=chain))
    assert converted.coverage.skipped == ()
    assert converted.spec == of_keras.spec
    pairs = zip(converted.model.weights, of_keras.model.weights, strict=True)
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.name)


@pytest.mark.slow
def test_torchvision_s_resnet_gives_its_features_and_logits(torchvision, chain):
    folder, io = torchvision
    path = str(folder / "weights.safetensors")
    assert source_of(path) == "resnet"
    converted = SOURCES["resnet"].convert(path, Options(structure=chain))
    compare_chain(converted, io)
    assert converted.coverage.share("initial") == 0
    # One counter of steps per batch norm: the stem's, 16 modules' three, four projections'.
    skipped = converted.coverage.skipped
    assert {entry.reason for entry in skipped} == {"whole numbers, no weights"}
    assert len(skipped) == 1 + 16 * 3 + 4
    assert converted.spec.rgb_mean == (0.485, 0.456, 0.406)


def test_two_streams_have_torchvision_s_rgb_path(torchvision):
    folder, io = torchvision
    converted = convert_resnet(str(folder / "weights.safetensors"), Options())
    assert converted.architecture.name == "two_stream_r2plus1d_50"
    compare_two_streams(converted, io)


def test_two_streams_have_keras_s_rgb_path_and_all_but_the_strengths(keras):
    folder, io = keras
    converted = convert_resnet(str(folder / "weights.h5"), Options(num_classes=3))
    compare_two_streams(converted, io)
    initial = {
        weight.variable for weight in converted.coverage.weights if weight.status == "initial"
    }
    assert initial == {
        "node_08/fusion/strength_logits",
        "head/classifier/kernel",
        "head/classifier/bias",
    }
    skipped = {entry.name for entry in converted.coverage.skipped}
    assert skipped == {"predictions/kernel", "predictions/bias"}
    assert "strengths" in converted.coverage.notes[-1]


def test_the_flow_stem_reads_the_colours_mean(keras):
    """Flow of 1 in both directions is as a grey picture that deviates by 0.225, ImageNet's deviation."""
    folder, _ = keras
    model = convert_resnet(str(folder / "weights.h5"), Options()).model
    network = tf_keras.applications.ResNet50(weights=None, classes=5)
    network.load_weights(folder / "weights.h5")
    kernel, bias = network.get_layer("conv1_conv").get_weights()
    flow = tf.ones([1, 16, 16, 2])
    ours = model.node_layers["1"].spatial(flow)
    grey = tf.fill([1, 16, 16, 3], 0.225 * 255)
    theirs = tf.nn.conv2d(tf.pad(grey, [[0, 0], [3, 3], [3, 3], [0, 0]]), kernel, 2, "VALID")
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-2)
    assert np.abs(bias).max() > 0.1


def test_assemblenet_takes_what_agrees_at_levels_3_and_4(keras):
    folder, _ = keras
    spec = ModelSpec(architecture="assemblenet_50")
    converted = convert_resnet(str(folder / "weights.h5"), Options(spec=spec))
    graph = converted.architecture
    # Counted from the architecture: kernels of modules whose input, C and M are ResNet-50's at that level.
    widths, modules = {1: 64, 2: 128, 3: 256, 4: 512}, {1: 3, 2: 4, 3: 6, 4: 3}
    counts = converted.coverage.by_node()
    for plan in converted.model.plan:
        if plan.level < 1 or plan.index not in graph.live_nodes(gated_by_peers=False):
            continue
        width, ours = widths[plan.level], plan.channels
        fed = {1: 64, 2: 256, 3: 512, 4: 1024}[plan.level]
        loaded = inflated = 0
        for position in range(modules[plan.level]):
            source = fed if position == 0 else 4 * width
            enters = plan.fusion.output_channels if position == 0 else 4 * ours
            if (enters, ours) == (source, width):
                if position % 2:
                    inflated += 3 * source * width
                    loaded += 4 * width
                else:
                    loaded += source * width + 4 * width
            if position == 0 and (enters, ours) == (source, width):
                loaded += source * 4 * width + 4 * 4 * width
            if ours == width:
                loaded += 9 * width * width + 4 * width  # the 3x3
                loaded += width * 4 * width + 4 * 4 * width  # the last 1x1
        node = counts[f"node_{plan.index:02d}"]
        assert (node["loaded"], node["inflated"]) == (loaded, inflated), plan.index
    high = [plan.index for plan in converted.model.plan if plan.level >= 3]
    assert sum(counts[f"node_{index:02d}"]["loaded"] for index in high) > 0
    # Unused tensors are listed: no stem of AssembleNet-50 has 64 channels.
    assert "conv1_conv/kernel" in {entry.name for entry in converted.coverage.skipped}


def test_colours_of_the_user_s_choice_are_red_green_blue(keras, chain):
    folder, io = keras
    spec = ModelSpec(rgb_mean=0.5, rgb_deviation=1 / 255)
    converted = convert_resnet(str(folder / "model.h5"), Options(spec=spec, structure=chain))
    network = tf_keras.models.load_model(folder / "model.h5", compile=False)
    theirs = network(io["x"].astype(np.float32) - 127.5)
    ours = converted.model({"rgb": still(io["x"])}, training=False)["logits"]
    assert relative_difference(ours, theirs) < TOLERANCE


@pytest.mark.slow
def test_a_resnet_101_makes_the_usual_network_deeper(keras):
    """Modules that the file has not stay initial; those that the network has not are skipped."""
    folder, _ = keras
    path = str(folder / "weights.h5")
    deeper = convert_resnet(path, Options(depth=101)).coverage
    new = {
        weight.variable.rsplit("/", 2)[0]
        for weight in deeper.weights
        if weight.reason == "fewer modules in the file than here"
    }
    assert new == {f"node_{node:02d}/module_{module}" for node in (6, 7) for module in range(6, 23)}
    shallow = convert_resnet(path, Options(depth=26)).coverage
    skipped = {entry.name.split("_")[0] + entry.name.split("_")[1] for entry in shallow.skipped}
    assert {entry.reason for entry in shallow.skipped} == {"no such module here"}
    assert skipped == {
        "conv2block3",
        *(f"conv3block{n}" for n in (3, 4)),
        *(f"conv4block{n}" for n in (3, 4, 5, 6)),
        "conv5block3",
    }


def test_weights_of_half_precision_are_read(torchvision, chain, tmp_path):
    folder, io = torchvision
    tensors = load_file(folder / "weights.safetensors")
    halves = {
        f"module.backbone.{name}": value.astype(np.float16) if value.dtype == np.float32 else value
        for name, value in tensors.items()
    }
    save_file(halves, tmp_path / "half.safetensors")
    converted = convert_resnet(str(tmp_path / "half.safetensors"), Options(structure=chain))
    logits = converted.model({"rgb": still(io["x"])}, training=False)["logits"]
    assert 1e-6 < relative_difference(logits, io["logits"]) < 1e-2
    assert converted.architecture.downsampling == "middle"
