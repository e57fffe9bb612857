"""A run goes on past damaged records where it is told to, and says which they were."""

import re

import pytest
import tensorflow as tf
from absl import logging

from official_vision.data.storage.frame_table import frame_table
from official_vision.data.storage.index import Index
from official_vision.training.clip_scoring import load_trained, score_clips
from official_vision.training.run import train
from tests.training import runs


def spoil(folder, record):
    """Changes a byte of every frame of a record's rgb; returns the shard's path."""
    index = Index.read(folder)
    path = folder / index.shards[0].file
    content = bytearray(path.read_bytes())
    for begin in frame_table(folder, index, ("rgb",)).head(tf.constant(record))["rgb"].numpy():
        content[begin + 30] ^= 255
    path.write_bytes(content)
    return path


@pytest.mark.slow
def test_training_and_evaluation_skip_and_tell(tmp_path, capsys, monkeypatch):
    data = runs.write_data(tmp_path / "data")
    spoil(data / "train", 5)
    path = spoil(data / "validation", 2)
    graph = runs.save_small(tmp_path, streams=("rgb",))
    result = train(runs.config(data, tmp_path / "run", graph, steps=4, damaged="skip"))
    assert result.step == 4
    skipped = re.findall(
        r"skipped '.*' at byte \d+ of (.*): (its checksum.*)", capsys.readouterr().out
    )
    reason = "its checksum or its content is wrong"
    assert skipped == [(str(data / "train" / path.name), reason), (str(path), reason)]
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: warnings.append(text % values))
    scores = score_clips(load_trained(tmp_path / "run", "latest"))
    assert warnings[-1] == f"skipped 1 of 6 records of {data / 'validation'} so far"
    assert scores.logits.shape == (5, len(runs.CLASSES))  # of six videos
