"""A run goes on past damaged records where that is set, and reports them."""

import re
from pathlib import Path

import pytest
from absl import logging

from official_vision.data.storage.index import Index
from official_vision.data.storage.segments import segments_of
from official_vision.training.clip_scoring import load_trained, score_clips
from official_vision.training.run import train
from tests.training import runs


def spoil(folder, position):
    """Changes a byte of a video's only segment; returns the shard's path."""
    ((path, offset),) = segments_of(folder, Index.read(folder)).places(position)
    path = Path(path)
    content = bytearray(path.read_bytes())
    content[offset + 100] ^= 255
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
    assert warnings[-1] == f"skipped clips of 1 of 6 videos of {data / 'validation'} so far"
    assert scores.logits.shape == (5, len(runs.CLASSES))  # of six videos
