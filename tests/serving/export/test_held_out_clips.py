"""Where an export's clips come from: the run's folder, a split that is named, or the validation data."""

import dataclasses
import shutil

import numpy as np
import pytest

from official_vision.data.storage.index import Index
from official_vision.errors import UserError
from official_vision.serving.export.held_out_clips import clips_of_run
from official_vision.training.clip_scoring import load_trained
from official_vision.training.run_folder.held_out_clips import CLIPS_FOLDER, store_clips
from tests.training import runs, untrained

VIDEOS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, with data from which 6 clips are stored in its folder."""
    folder = tmp_path_factory.mktemp("run")
    untrained.write_run(folder)
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    return load_trained(folder / "run", "latest")


@pytest.fixture
def moved(folder, trained, tmp_path):
    """The run, copied to where its data are not."""
    shutil.copytree(folder / "run", tmp_path / "run")
    spec = dataclasses.replace(trained.config.validation_data, path="/gone/validation")
    config = dataclasses.replace(trained.config, validation_data=spec)
    return dataclasses.replace(trained, config=config, model_dir=str(tmp_path / "run"))


def test_the_folder_has_the_clips_of_the_data(trained, moved):
    """6 videos: as many as there are, so that more clips than 6 need no other data."""
    stored = clips_of_run(moved, 16, is_named=False)
    assert stored.spec.path == f"{moved.model_dir}/{CLIPS_FOLDER}"
    assert stored.notes == ()
    index = Index.read(trained.config.validation_data.path)
    assert stored.fingerprint == index.fingerprint
    assert stored.index.settings == index.settings
    data = clips_of_run(trained, 16, is_named=True)
    assert data.spec.path == trained.config.validation_data.path
    for count in (VIDEOS, 3):
        expected, clips = (x.read(runs.STREAMS, count) for x in (data, stored))
        assert len(clips) == count
        np.testing.assert_array_equal(clips.labels, expected.labels)
        for name in runs.STREAMS:
            np.testing.assert_array_equal(clips.streams[name], expected.streams[name])


def test_more_clips_than_are_stored_come_from_the_data_if_they_are_there(trained, moved):
    train = dataclasses.replace(moved.config.train, held_out_clips=2)
    config = dataclasses.replace(trained.config, train=train)
    index = trained.validation_index()
    store_clips(moved.model_dir, config, index, runs.STREAMS)
    here = dataclasses.replace(moved, config=config)
    assert clips_of_run(here, 4, is_named=False).spec == config.validation_data
    assert clips_of_run(here, 2, is_named=False).spec.path.endswith(CLIPS_FOLDER)
    gone = clips_of_run(moved, 4, is_named=False)
    assert gone.spec.path.endswith(CLIPS_FOLDER)
    (note,) = gone.notes
    assert note.startswith("2 clips lie in the run's folder, where 4 are set")


def test_a_run_without_stored_clips_reads_its_data(trained, moved):
    shutil.rmtree(f"{moved.model_dir}/{CLIPS_FOLDER}")
    here = dataclasses.replace(moved, config=trained.config)
    assert clips_of_run(here, 4, is_named=False).spec == trained.config.validation_data
    with pytest.raises(UserError, match=r"not at /gone/validation .*Name their folder by --data"):
        clips_of_run(moved, 4, is_named=False)


def test_clips_of_other_classes_than_the_runs_are_refused(moved):
    others = dataclasses.replace(moved, labels=("red", "Green", "blue", "grey"))
    with pytest.raises(UserError, match="class 1 is 'green' and 'Green'") as raised:
        clips_of_run(others, 4, is_named=False)
    assert CLIPS_FOLDER in str(raised.value)
    assert "\n" not in str(raised.value)


def test_damaged_clips_are_named_unless_other_data_are(trained, moved):
    path = f"{moved.model_dir}/{CLIPS_FOLDER}/clips.tfrecord"
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"damage")
    with pytest.raises(UserError, match="must be as training wrote them") as raised:
        clips_of_run(moved, 4, is_named=False)
    assert path in str(raised.value)
    named = dataclasses.replace(moved, config=trained.config)
    assert len(clips_of_run(named, 4, is_named=True).read(runs.STREAMS, 4)) == 4


def test_damaged_data_that_are_named_are_one_line(trained, tmp_path):
    source = tmp_path / "validation"
    shutil.copytree(trained.config.validation_data.path, source)
    (shard,) = source.glob("*.tfrecord")
    with open(shard, "r+b") as file:
        file.seek(100)
        file.write(b"damage")
    spec = dataclasses.replace(trained.config.validation_data, path=str(source))
    config = dataclasses.replace(trained.config, validation_data=spec)
    clips = clips_of_run(dataclasses.replace(trained, config=config), 4, is_named=True)
    with pytest.raises(UserError, match=r"'v0' at byte 0 of .*checksum") as raised:
        clips.read(runs.STREAMS, 4)
    assert "\n" not in str(raised.value)
