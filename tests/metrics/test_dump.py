"""Kept scores: what is read is what was written, and what is none is refused."""

import json

import numpy as np
import pytest

from official_vision.errors import UserError
from official_vision.metrics.dump import read_dump, write_dump
from official_vision.metrics.scores import ClipScores
from official_vision.specs import EvaluationSpec

SCORES = ClipScores(
    ids=("v0", "ü", "v2"),
    classes=("sit", "stand"),
    labels=np.array([[True, False], [True, True], [False, False]]),
    logits=np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32),
    owner=np.array([0, 1, 1, 2, 2], np.int32),
    activation="sigmoid",
    provenance={"checkpoint": "run/ckpt-3", "step": 3, "clips": {"views": 2}},
    training_counts=(40, 3),
)
MAXIMUM = EvaluationSpec(pooling="max")


def test_what_is_read_is_what_was_written(tmp_path):
    write_dump(tmp_path / "scores.npz", SCORES, MAXIMUM)
    read = read_dump(tmp_path / "scores.npz")
    assert (read.ids, read.classes) == (SCORES.ids, SCORES.classes)
    assert (read.activation, read.provenance) == ("sigmoid", SCORES.provenance)
    assert read.pooled(MAXIMUM).training_counts == (40, 3)
    np.testing.assert_array_equal(read.labels, SCORES.labels)
    np.testing.assert_array_equal(read.logits, SCORES.logits)
    np.testing.assert_array_equal(read.owner, SCORES.owner)
    assert read.labels.dtype == bool
    np.testing.assert_array_equal(
        read.pooled(EvaluationSpec()).scores, SCORES.pooled(EvaluationSpec()).scores
    )


def test_numpy_alone_reads_it(tmp_path):
    write_dump(tmp_path / "scores.npz", SCORES, MAXIMUM)
    with np.load(tmp_path / "scores.npz", allow_pickle=False) as archive:
        assert archive["ids"].tolist() == list(SCORES.ids)
        np.testing.assert_array_equal(archive["scores"], SCORES.pooled(MAXIMUM).scores)
        about = json.loads(str(archive["about"]))
    assert about["pooling"] == {"pooling": "max", "top_k": 3, "pooled_values": "probabilities"}
    assert about["provenance"]["step"] == 3


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        write_dump(tmp_path / "scores.npz", SCORES, MAXIMUM)
    assert list(tmp_path.iterdir()) == []


def test_the_name_says_what_it_is(tmp_path):
    with pytest.raises(UserError, match=r"ends with \.npz"):
        write_dump(tmp_path / "scores.json", SCORES, MAXIMUM)
    assert list(tmp_path.iterdir()) == []


def arrays(**changed):
    about = {"format": "official_vision.scores", "version": 2, "activation": "sigmoid"}
    values = {
        "ids": np.array(["a", "b"]),
        "classes": np.array(["x"]),
        "labels": np.array([[1], [0]], np.uint8),
        "clip_logits": np.zeros((2, 1), np.float32),
        "clip_video": np.array([0, 1], np.int32),
        "training_counts": np.array([7]),
        "about": np.array(json.dumps({**about, "provenance": {}})),
    }
    return {**values, **changed}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"text", "must hold scores"),
        (b"", "must hold scores"),
        ({"other": np.zeros(3)}, "about"),
        (arrays(about=np.array('{"format": "x", "version": 1}')), "which has format x, version 1"),
        (arrays(about=np.array("{")), "must hold scores"),
        (arrays(about=np.array("3")), "which has none"),
        (arrays(labels=np.zeros((2, 3), np.uint8)), "labels of shape"),
        (arrays(clip_logits=np.zeros((3, 1), np.float32)), "logits of shape"),
        (arrays(training_counts=np.array([7, 8])), "training_counts of 2 of 1 classes"),
        (arrays(clip_video=np.array([0, 0])), "videos without a clip"),
        (arrays(clip_video=np.array([0, 5])), "don't belong"),
        (None, "No such file"),
    ],
)
def test_what_holds_no_scores_is_refused_in_one_line(content, words, tmp_path):
    path = tmp_path / "scores.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, **content)
    with pytest.raises(UserError) as raised:
        read_dump(path)
    assert words in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "scores.npz"
    write_dump(path, SCORES, MAXIMUM)
    whole = path.read_bytes()
    for length in (10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="scores"):
            read_dump(path)


def test_arrays_that_would_run_code_are_not_loaded(tmp_path):
    path = tmp_path / "scores.npz"
    np.savez(path, **arrays(ids=np.array([{"a": 1}, None], dtype=object)))
    with pytest.raises(UserError, match="must hold scores"):
        read_dump(path)
