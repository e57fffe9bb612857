"""tools/search.py as a user runs it: killed and gone on with, its result trained, its mistakes."""

import json

import pytest

from official_vision.architecture.formats import read_architecture
from tests.commands import command, kill_when, refusal, start
from tests.training import runs

SETTINGS = """
ModelSpec.architecture = '{folder}/small.json'
ModelSpec.num_classes = 4
ModelSpec.num_object_classes = 4
ModelSpec.activation = 'softmax'
DataSpec.frames = 4
DataSpec.size = 32
DataSpec.batch_size = 4
train/DataSpec.path = '{folder}/data/train'
validation/DataSpec.path = '{folder}/data/validation'
TrainSpec.steps = 12
TrainSpec.steps_per_loop = 1
TrainSpec.checkpoint_interval = 2
TrainSpec.validation_interval = 12
TrainSpec.pictures = False
TrainSpec.precise_batch_norm_batches = 0
OptimizerSpec.learning_rate = 0.05
architecture/OptimizerSpec.name = 'adam'
architecture/OptimizerSpec.learning_rate = 0.3
ConnectivitySpec.updates = 'bilevel'
ConnectivitySpec.cost_weight = 0.1
ConnectivitySpec.cost = 'latency'
SearchSpec.output = '{folder}/one_shot'
SearchSpec.keep_share = 0.8
SearchSpec.retrain_steps = 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    runs.write_data(folder / "data")
    runs.save_small(folder, streams=("rgb",))
    (folder / "search.gin").write_text(SETTINGS.format(folder=folder))
    return folder


@pytest.mark.slow
def test_killed_it_goes_on_and_what_it_finds_is_trained(folder):
    flags = [f"--gin_file={folder}/search.gin"]
    # TensorFlow writes this file once a checkpoint is whole.
    kill_when(start("search", *flags), folder / "one_shot" / "search" / "checkpoint")
    latencies = (folder / "one_shot" / "search" / "connection_latency.json").read_bytes()

    status, stdout, stderr = command("search", *flags)
    assert (status, stderr) == (0, "")
    assert "resuming" in stdout
    assert (folder / "one_shot" / "search" / "connection_latency.json").read_bytes() == latencies
    stages = json.loads((folder / "one_shot" / "search.json").read_text())["stages"]
    assert stages["retrain"]["retrained"]["steps"] == 2
    for stage, network in (("search", "one_shot"), ("retrain", "retrained")):
        row = stages[stage][network]
        (line,) = (
            line
            for line in stdout.splitlines()
            if line.endswith(f" {row['steps']}  {row['score']:.4f}") and "before" not in line
        )
        assert f"{row['parameters']:,}" in line
    derived = read_architecture(folder / "one_shot" / "derived.json")
    assert derived.provenance["learned"]["updates"] == "bilevel"

    # The very same settings train the derived network.
    status, stdout, stderr = command(
        "train",
        *flags,
        f"--gin_bindings=ModelSpec.architecture = '{folder}/one_shot/derived.json'",
        f"--gin_bindings=TrainSpec.model_dir = '{folder}/again'",
        "--gin_bindings=TrainSpec.steps = 1",
        "--gin_bindings=ConnectivitySpec.updates = 'joint'",
    )
    assert (status, stderr) == (0, "")
    assert "trained to step 1" in stdout


MISTAKES = [
    (["--stage=serch"], "Did you mean 'search'?"),
    (["--stage=derive"], "Run --stage=search first"),
    (["--gin_bindings=SearchSpec.metod = 'x'"], "Did you mean 'method'?"),
    (["--gin_bindings=SearchSpec.candidates = 'some'"], "all, lower, own, file:PATH"),
    (["--gin_bindings=ConnectivitySpec.updates = 'darts'"], "joint, bilevel"),
    (["--agreement=one"], "Name two or more"),
]


@pytest.mark.parametrize(("flags", "words"), MISTAKES)
def test_a_mistake_is_one_line_and_status_1(folder, flags, words):
    binding = f"--gin_bindings=SearchSpec.output = '{folder}/mistakes'"
    assert words in refusal("search", f"--gin_file={folder}/search.gin", binding, *flags)
