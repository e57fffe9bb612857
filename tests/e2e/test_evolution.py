"""tools/search.py with method evolution as a user runs it: killed and gone on with, drawn, its mistakes."""

import json
import re
import shutil

import pytest
import tensorflow as tf

from official_vision.architecture.formats import read_architecture
from tests.commands import command, kill_when, refusal, start
from tests.training import runs

SETTINGS = """
SearchSpec.method = 'evolution'
SearchSpec.output = '{folder}/evolution'
EvolutionSpec.population = 2
EvolutionSpec.children = 1
EvolutionSpec.tournament = 2
EvolutionSpec.at_once = 2
EvolutionSpec.seed = 3
ModelSpec.architecture = '{folder}/small.json'
ModelSpec.num_classes = 4
ModelSpec.num_object_classes = 4
ModelSpec.activation = 'softmax'
ModelSpec.gate = 'none'
DataSpec.frames = 4
DataSpec.size = 32
DataSpec.batch_size = 4
train/DataSpec.path = '{folder}/data/train'
validation/DataSpec.path = '{folder}/data/validation'
TrainSpec.steps = 20
TrainSpec.steps_per_loop = 1
TrainSpec.checkpoint_interval = 2
TrainSpec.validation_interval = 20
TrainSpec.pictures = False
TrainSpec.precise_batch_norm_batches = 0
OptimizerSpec.learning_rate = 0.05
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evolution")
    runs.write_data(folder / "data")
    runs.save_small(folder, streams=("rgb",))
    (folder / "search.gin").write_text(SETTINGS.format(folder=folder))
    return folder


def records(folder):
    lines = (folder / "population.jsonl").read_text().splitlines()
    return [{**json.loads(line), "seconds": 0} for line in lines]


def finish(folder):
    """Evolves to the end, as is printed."""
    status, stdout, stderr = command("search", f"--gin_file={folder}/search.gin")
    assert (status, stderr) == (0, "")
    best = max(record["figure"] for record in records(folder / "evolution"))
    assert f"mAP {best:.4f} at" in stdout.splitlines()[-2]
    return best


def set_back(output, children):
    """Makes the folder of an evolution as it was before the graphs `children`, the last ones, were begun."""
    lines = (output / "population.jsonl").read_text().splitlines(keepends=True)
    (output / "population.jsonl").write_text("".join(lines[: -len(children)]))
    for number in children:
        shutil.rmtree(output / "children" / f"{number:05d}")
    for name in ("best.json", "front.json", "front.png"):
        (output / name).unlink()


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_population(folder):
    flags = [f"--gin_file={folder}/search.gin"]
    best = finish(folder)
    output = folder / "evolution"
    shutil.copytree(output, folder / "whole")
    # Killed in the child's training: the first population need not be trained a second time.
    set_back(output, [2])
    # TensorFlow writes this file once a checkpoint is whole.
    kill_when(start("search", *flags), output / "children" / "00002" / "checkpoint")
    assert not (output / "best.json").exists()
    assert finish(folder) == best
    log = (output / "children" / "00002" / "output.log").read_text()
    assert int(re.search(r"resuming .* at step (\d+) of 20", log)[1]) in range(2, 20, 2)
    whole = records(folder / "whole")
    assert records(output) == whole
    assert [record["status"] for record in whole] == ["evaluated"] * 3
    assert all(record["inherited"] > 0 for record in whole[2:])
    # The result is a graph that was tried, and its run's figure is the record's.
    top = max(whole, key=lambda record: (record["figure"], -record["id"]))
    assert (
        json.loads((folder / "whole" / "best.json").read_text())["nodes"]
        == top["architecture"]["nodes"]
    )
    result = json.loads(
        (folder / "whole" / "children" / f"{top['id']:05d}" / "result.json").read_text()
    )
    assert result["figures"]["mAP"] == top["figure"]
    assert read_architecture(folder / "whole" / "best.json").live_nodes(gated_by_peers=False)
    # The same weights too: training is repeated to the bit.
    last = [
        tf.train.load_checkpoint(str(evolved / "children" / "00002" / "ckpt-20"))
        for evolved in (folder / "whole", output)
    ]
    for key in last[0].get_variable_to_shape_map():
        if key.startswith("model/"):
            assert (last[0].get_tensor(key) == last[1].get_tensor(key)).all()

    longer = "--gin_bindings=TrainSpec.steps = 21"
    assert "train.steps: 20 then, 21 now" in refusal("search", *flags, longer)

    status, stdout, stderr = command("search", f"--report={folder}/whole")
    assert (status, stderr) == (0, "")
    assert (folder / "whole" / "report.html").is_file()
    picture = folder / "compared.png"
    compared = [f"--compare={evolved}" for evolved in (folder / "whole", output)]
    status, stdout, stderr = command("search", *compared, f"--picture={picture}")
    assert (status, stderr) == (0, "")
    assert f"{best:.4f} ± 0.0000" in stdout
    assert picture.stat().st_size > 10_000


MISTAKES = [
    (["--stage=derive"], "An evolution has no stages"),
    (["--gin_bindings=EvolutionSpec.childs = 3"], "Did you mean 'children'?"),
    (["--gin_bindings=EvolutionSpec.backend = 'dask'"], "processes, ray"),
    (["--compare=one"], "Name two or more"),
]


@pytest.mark.parametrize(("flags", "words"), MISTAKES)
def test_a_mistake_is_one_line_and_status_1(folder, flags, words):
    binding = f"--gin_bindings=SearchSpec.output = '{folder}/mistakes'"
    assert words in refusal("search", f"--gin_file={folder}/search.gin", binding, *flags)
