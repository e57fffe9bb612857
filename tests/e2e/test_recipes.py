"""From official files to a trained network by the recipes, as a user types the commands."""

import json

import pytest

from official_vision.data.storage.index import Index
from tests import commands
from tests.data.annotations.formats.official_files import write_charades
from tests.training import runs, untrained

SMALL_DATA = {"DataSpec.frames": 4, "DataSpec.size": 32, "DataSpec.batch_size": 2}
SMALL_RUN = {
    "OptimizerSpec.warmup_steps": 0,
    "TrainSpec.steps": 2,
    "TrainSpec.steps_per_loop": 1,
    "TrainSpec.validation_interval": 2,
    "TrainSpec.checkpoint_interval": 2,
    "TrainSpec.precise_batch_norm_batches": 0,
}


def run(tool, recipe, settings, *flags):
    """Runs a command in the repository; returns what it did."""
    bindings = [f"--gin_bindings={name} = {value!r}" for name, value in settings.items()]
    return commands.run(tool, f"--gin_file=gin_configs/{recipe}.gin", *flags, *bindings)


def prepare(recipe, folder, *flags):
    settings = {
        "PrepareSpec.annotations": str(folder),
        "PrepareSpec.videos": str(folder / "videos"),
        "PrepareSpec.output": str(folder / "shards"),
        "PrepareSpec.short_side": 32,
        "PrepareSpec.fps": 5.0,
    }
    return run("prepare_data", f"data/{recipe}", settings, *flags)


def train(recipe, data, validation, folder, graph, **settings):
    settings = {
        "train/DataSpec.path": str(data / "shards" / "train"),
        "validation/DataSpec.path": str(data / "shards" / validation),
        "TrainSpec.model_dir": str(folder),
        "ModelSpec.architecture": graph,
        **SMALL_DATA,
        **SMALL_RUN,
        **settings,
    }
    return run("train", recipe, settings)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A small architecture's file, in place of AssembleNet++-50."""
    return runs.save_small(tmp_path_factory.mktemp("graph"))


@pytest.fixture(scope="module")
def charades(tmp_path_factory, footage):
    """A folder with Charades' files about the real videos, prepared."""
    folder = tmp_path_factory.mktemp("charades")
    train = {
        "46GP8": ("c092 1.90 4.20;c147 0.00 12.60", "10.00"),
        "N11GT": ("", "4.00"),
        "LOST1": ("c001 0.00 3.00", "4.00"),
    }
    write_charades(folder, train, {"YSKX3": ("c156 0.00 2.00;c156 3.00 4.00", "5.28")})
    (folder / "videos").mkdir()
    for video, name in (("46GP8", "bikes"), ("N11GT", "carphone_pristine"), ("YSKX3", "bikes")):
        (folder / "videos" / f"{video}.mp4").symlink_to(footage[name])
    return folder, prepare("charades", folder)


@pytest.mark.slow
def test_charades_is_prepared_from_its_official_files(charades):
    folder, done = charades
    assert done.returncode == 3, done.stderr
    assert "left out LOST1:" in done.stderr
    assert "there is no such video file" in done.stderr
    assert "train.csv:2: 'c147 0.00 12.60' of a video of 10 s became 0.00 to 10.00 s" in done.stderr
    index = Index.read(folder / "shards" / "train")
    assert index.videos == ("46GP8", "N11GT")
    assert (len(index.classes), index.classes[92]) == (157, "c092 Doing thing 92")
    # Localisation is judged by what the files state, of videos that lack as well.
    assert [stated.id for stated in index.stated_times] == ["46GP8", "N11GT", "LOST1"]
    assert index.stated_times[0].actions == ((92, 1.9, 4.2), (147, 0.0, 12.6))


@pytest.mark.slow
def test_the_audit_of_charades_names_what_is_wrong(charades, tmp_path):
    done = prepare("charades", charades[0], "--audit", f"--json={tmp_path}/audit.json")
    assert done.returncode == 3, done.stderr
    written = json.loads((tmp_path / "audit.json").read_text())
    kinds = {(finding["kind"], finding["about"]) for finding in written["findings"]}
    assert {
        ("missing", "LOST1.mp4"),
        ("unlabelled", "N11GT"),
        ("leakage", "46GP8.mp4"),  # bikes.mp4 plays both this and the test video
        ("class_without_videos", "c000 Doing thing 0"),
    } < kinds
    assert not {kind for kind, _ in kinds} & {"shards", "left_out", "frame_count", "undecodable"}
    assert "videos that are not there: 1\n  LOST1.mp4: there is no " in done.stdout
    train = next(split for split in written["splits"] if split["name"] == "train")
    assert (train["videos"], train["class_counts"][92]) == (3, 1)


@pytest.mark.parametrize("flags", [["--json=a.json"], ["--decode"], ["--audit", "--preview=a.png"]])
def test_flags_that_do_not_go_together_are_refused(flags):
    done = run("prepare_data", "data/charades", {}, *flags)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: --")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_charades_is_fine_tuned_from_a_network_of_400_classes(charades, graph, tmp_path):
    classes = [f"class {number}" for number in range(400)]
    pretrained = untrained.write_run(tmp_path, classes, num_object_classes=8)
    done = train(
        "charades_from_kinetics",
        charades[0],
        "test",
        tmp_path / "tuned",
        graph,
        **{"TrainSpec.init_checkpoint": str(pretrained)},
    )
    assert done.returncode == 0, done.stderr
    assert "trained to step 2" in done.stdout
    saved = json.loads((tmp_path / "tuned" / "config.json").read_text())["config"]
    # Settings of charades.gin, which the recipe includes.
    assert saved["model"]["frame_pooling"] == "max"
    assert saved["train_data"]["label_rule"] == "any_overlap"
    # All weights come along but the classifier's, which is named with both sizes.
    loaded, total = (
        int(n) for n in done.stdout.split("initialised ")[1].split(" weights")[0].split(" of ")
    )
    assert loaded == total - 2
    for line in done.stdout.splitlines():
        assert not line.startswith("  ") or (" there, " in line and "400" in line and "157" in line)
