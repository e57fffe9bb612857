"""Wrong, damaged and foreign files get one line that names what is wrong."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from official_vision.conversion.authors.authors_checkpoint import convert
from official_vision.conversion.converted import Options
from official_vision.conversion.locate import weights_at
from official_vision.conversion.sources import SOURCES, check_source, source_of
from official_vision.errors import UserError
from official_vision.specs import ModelSpec
from tests.conversion import stored


def refusal(function, *arguments):
    with pytest.raises(UserError) as error:
        function(*arguments)
    (line,) = str(error.value).splitlines()
    assert "Received: " in line
    return line


def with_rows(folder, rows):
    """Options of a structure; a checkpoint copied to the folder has no params.yaml beside it."""
    return Options(structure=stored.write_lists(folder / "rows.json", rows))


@pytest.mark.parametrize("name", ["ckpt-0.data-00000-of-00001", "ckpt-0.index"])
def test_a_truncated_checkpoint_is_damaged(name, tmp_path):
    prefix = stored.copy("v1_26", tmp_path, "params.yaml")
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    line = refusal(convert, prefix, Options())
    assert line.startswith("--checkpoint must be a whole checkpoint of the authors'")


def test_other_programs_checkpoints_and_files_are_of_no_known_format(tmp_path):
    tf.train.Checkpoint(step=tf.Variable(1.0)).write(str(tmp_path / "other"))
    (tmp_path / "notes.txt").write_text("not weights")
    for name in ("other", "notes.txt"):
        assert "of a known format" in refusal(source_of, str(tmp_path / name))
    line = refusal(convert, str(tmp_path / "other"), with_rows(tmp_path, stored.ROWS))
    assert "no variable named as in their code" in line


def test_the_structure_must_be_known_and_be_one(tmp_path):
    prefix = stored.copy("v1_26", tmp_path)
    assert "in no checkpoint" in refusal(convert, prefix, Options())
    bad = (
        '[0,[0],"x",1,1]',
        "[0,[[0]],1,1,1]",
        "[0,[0],1]",
        f"[0,[0],{10**400},1,1]",
        "[9,[0],1,1,1]",
    )
    rows = [f"[[-1, 1], {row}]" for row in bad]
    for text in ("{", "3", "[]", "[[0]]", '{"structure": [[-1, "x"]]}', "[" * 100_000, *rows):
        (tmp_path / "bad.json").write_text(text)
        refusal(convert, prefix, Options(structure=str(tmp_path / "bad.json")))
    refusal(convert, prefix, Options(structure=str(tmp_path / "none.json")))
    lite = [[-1, 1], [0, [0], [27, 27, 12], 1, 2, 0]]
    assert "-lite network cannot be converted" in refusal(
        convert, prefix, with_rows(tmp_path, lite)
    )
    lists = {"structure": stored.ROWS, "edge_weights": [[[2.0]]] * 15}
    (tmp_path / "bad.json").write_text(json.dumps(lists))
    refusal(convert, prefix, Options(structure=str(tmp_path / "bad.json")))


def test_a_structure_that_is_not_the_checkpoint_s_is_reported_by_the_difference(tmp_path):
    prefix = stored.copy("v1_26", tmp_path)
    rows = stored.ROWS
    moved = ([0, [0, 1, 4], 1, 1, 1, 0], [0, [2, 3, 5, 6, 7], 1, 2, 1, 0])
    other_inputs = [*rows[:8], *moved, *rows[10:]]
    line = refusal(convert, prefix, with_rows(tmp_path, other_inputs))
    assert "private__apply_edge_weight/agg_weights/value shaped (4,), and (3,)" in line
    one_less = [*rows[:11], *([row[0], [8, 9, 10], *row[2:]] for row in rows[12:13])]
    assert "of no depth" in refusal(convert, prefix, with_rows(tmp_path, one_less))
    wider = [*rows[:13], [3, [12], 3, 1, 2, 0], [3, [9, 10, 12], 3, 2, 1, 0]]
    line = refusal(convert, prefix, with_rows(tmp_path, wider))
    assert "kernel shaped" in line
    assert "node 13" in line
    line = refusal(convert, prefix, Options(structure=str(tmp_path / "rows.json"), depth=50))
    assert "whose 3x3 convolutions have 2, 4, 8, 16 channels" in line
    assert "one of 26, 38" in refusal(
        convert, prefix, Options(structure=str(tmp_path / "rows.json"), depth=27)
    )


def test_averages_that_are_not_there_are_refused():
    assert "has none" in refusal(convert, stored.prefix("plus_26"), Options(averaged=True))


def test_settings_against_the_checkpoint_s_are_refused():
    for spec in (ModelSpec(gate="static"), ModelSpec(rgb_mean=0.3), ModelSpec(num_classes=4)):
        line = refusal(convert, stored.prefix("v1_26"), Options(spec=spec))
        assert "must be what" in line
    options = Options(spec=ModelSpec(num_classes=4), num_classes=4)
    assert convert(stored.prefix("v1_26"), options).spec.num_classes == 4


def test_weights_that_are_not_finite_are_refused(tmp_path):
    prefix = stored.copy("v1_26", tmp_path, "params.yaml")
    data = tmp_path / "ckpt-0.data-00000-of-00001"
    whole = bytearray(data.read_bytes())
    whole[100:104] = np.float32("nan").tobytes()
    data.write_bytes(whole)  # its checksum does not fit any more
    assert "damaged" in refusal(convert, prefix, Options())


def test_without_params_the_two_programs_must_be_distinguished_by_gates(tmp_path):
    prefix = stored.copy("plus_26", tmp_path)
    spec = ModelSpec(frame_pooling="softmax_logits")
    structure = stored.write_lists(tmp_path / "rows.json", stored.ROWS)
    converted = convert(prefix, Options(spec=spec, structure=structure))
    io = np.load(stored.DATA / "plus_26" / "io.npz")
    assert np.abs(stored.logits_of(converted.model, io["x"]) - io["y"]).max() < 1e-5
    more = [*stored.ROWS[:14], [3, [9, 10, 11, 12], 2, 2, 1, 0]]
    line = refusal(convert, prefix, with_rows(tmp_path, more))
    assert "dense layers, and 1 or" in line


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (["ckpt-3.index", "ckpt-12.index"], "ckpt-12"),
        (["ckpt-3.index", "ckpt-12.index", "checkpoint"], "ckpt-3"),
        (["a.safetensors", "notes.txt"], "a.safetensors"),
    ],
)
def test_of_a_folder_the_newest_is_taken(made, wanted, tmp_path):
    for name in made:
        (tmp_path / name).write_text('model_checkpoint_path: "/elsewhere/ckpt-3"\n')
    assert weights_at(str(tmp_path)) == str(tmp_path / wanted)


def test_a_checkpoint_is_named_by_any_of_its_files(tmp_path):
    prefix = stored.copy("v1_26", tmp_path)
    for name in ("ckpt-0", "ckpt-0.index", "ckpt-0.data-00000-of-00001"):
        assert weights_at(str(tmp_path / name)) == prefix
    refusal(weights_at, str(tmp_path / "ckpt-1"))
    (tmp_path / "empty").mkdir()
    refusal(weights_at, str(tmp_path / "empty"))


def test_flags_that_a_format_has_no_use_for_are_refused(monkeypatch):
    check_source("authors-tf2", ["ema", "params"])
    of_others = dataclasses.replace(SOURCES["authors-tf2"], unread=("ema",))
    monkeypatch.setitem(SOURCES, "authors-tf2", of_others)
    assert "--ema means nothing" in refusal(check_source, "authors-tf2", ["params", "ema"])
    assert "Did you mean 'authors-tf1'" in refusal(check_source, "author-tf1", [])
