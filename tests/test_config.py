"""gin files and bindings become specs; every mistake is one line with its place."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from official_vision import config, files
from official_vision.errors import UserError
from official_vision.specs import ModelSpec


@pytest.fixture
def gin_file(tmp_path):
    (tmp_path / "base.gin").write_text("TrainSpec.steps = 40\nModelSpec.depth = 50\n")
    path = tmp_path / "run.gin"
    path.write_text(
        "include 'base.gin'\nModelSpec.depth = 26\nDataSpec.batch_size = 4\ntrain/DataSpec.size = 32\n"
    )
    return str(path)


def test_architecture_variables_have_the_optimizer_of_all_but_for_what_is_scoped(tmp_path):
    unscoped = ["OptimizerSpec.learning_rate = 0.3", "OptimizerSpec.momentum = 0.5"]
    plain = config.load([], unscoped)
    assert plain.architecture_optimizer == plain.optimizer
    scoped = config.load([], [*unscoped, "architecture/OptimizerSpec.name = 'adam'"])
    assert scoped.optimizer == plain.optimizer
    assert scoped.architecture_optimizer == dataclasses.replace(plain.optimizer, name="adam")
    scoped.save(tmp_path)
    assert config.read(tmp_path) == scoped
    assert config.load([str(tmp_path / "config.gin")]) == scoped


def test_later_files_win_and_bindings_win_over_files(gin_file):
    settings = config.load(
        [gin_file], ["TrainSpec.steps = 80", "validation/DataSpec.batch_size = 8"]
    )
    assert settings.model.depth == 26
    assert settings.train.steps == 80
    assert (settings.train_data.batch_size, settings.validation_data.batch_size) == (4, 8)
    assert (settings.train_data.size, settings.validation_data.size) == (32, 224)


def test_code_never_sees_gin(gin_file):
    config.load([gin_file])
    assert ModelSpec().depth is None


def test_a_saved_run_reads_back_and_its_gin_file_gives_it_again(gin_file, tmp_path):
    settings = config.load([gin_file], ["OptimizerSpec.boundaries = [5, 9]"])
    settings.save(tmp_path / "run", {"train": "abc"})
    assert config.read(tmp_path / "run") == settings
    assert config.load([str(tmp_path / "run" / config.CONFIG_GIN)]) == settings
    record = json.loads((tmp_path / "run" / config.CONFIG_JSON).read_text())
    assert record["data_fingerprints"] == {"train": "abc"}
    assert record["versions"]["tensorflow"].startswith("2.20")


def save_run(folder, architecture):
    """Writes the settings of a run into its folder; returns the path of its gin file."""
    names = [
        f"ModelSpec.architecture = {architecture!r}",
        f"TrainSpec.model_dir = {str(folder)!r}",
        "TrainSpec.steps = 7",
    ]
    config.load([], names).save(folder)
    (folder / config.ARCHITECTURE_FILE).write_text("{}")
    return folder / config.CONFIG_GIN


@pytest.mark.parametrize("name", ["moved", 'it\'s [1] ü "x" {y} %s'])
def test_a_moved_runs_gin_file_names_the_folder_where_it_lies(tmp_path, monkeypatch, name):
    gin_file = save_run(tmp_path / "run", str(tmp_path / "gone" / "graph.json"))
    there = config.load([str(gin_file)])
    assert there.model.architecture == str(tmp_path / "gone" / "graph.json")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    assert config.load([str(tmp_path / "link" / gin_file.name)]) == there
    shutil.copytree(tmp_path / "run", tmp_path / name)
    for run_is_there in (True, False):
        assert (tmp_path / "run").exists() == run_is_there
        here = config.load([str(tmp_path / name / gin_file.name)])
        assert here.train.model_dir == str(tmp_path / name)
        assert here.model.architecture == str(tmp_path / name / "architecture.json")
        assert here.train.steps == 7
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
    monkeypatch.chdir(tmp_path / name)
    assert config.load([gin_file.name]) == here
    (tmp_path / "later.gin").write_text("TrainSpec.model_dir = 'mine'\n")
    assert config.load([gin_file.name, str(tmp_path / "later.gin")]).train.model_dir == "mine"
    bound = config.load([gin_file.name], ["ModelSpec.architecture = 'assemblenet_50'"])
    assert (bound.model.architecture, bound.train.model_dir) == ("assemblenet_50", str(Path.cwd()))


def test_a_moved_run_of_a_known_network_still_names_it(tmp_path):
    save_run(tmp_path / "run", "assemblenet_50")
    (tmp_path / "run").rename(tmp_path / "moved")
    moved = config.load([str(tmp_path / "moved" / config.CONFIG_GIN)])
    assert moved.model.architecture == "assemblenet_50"
    assert moved.train.model_dir == str(tmp_path / "moved")
    # Without the record beside it, it is a file of settings like any other.
    (tmp_path / "moved" / config.CONFIG_JSON).unlink()
    alone = config.load([str(tmp_path / "moved" / config.CONFIG_GIN)])
    assert alone.train.model_dir == str(tmp_path / "run")


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("ModelSpc.depth = 3", "Did you mean 'ModelSpec'?"),
        ("ModelSpec.dept = 3", "Did you mean 'depth'?"),
        ("ModelSpec.depth = 2.5", "Received: 2.5 (float). Set by --gin_bindings="),
        ("trian/DataSpec.path = 'x'", "Received: trian/DataSpec."),
        ("train/ModelSpec.depth = 50", "Received: train/ModelSpec."),
        ("ModelSpec.depth =", "cannot be read"),
        ("ModelSpec.depth = [1", "cannot be read"),
        ("ModelSpec.depth = @nothing()", "cannot be read"),
        ("ModelSpec.depth = %nothing", "cannot be read"),
        ("import no_such_module", "cannot be read"),
        ("ModelSpec.gate = peer", "Quote it: ModelSpec.gate = 'peer'."),
        ("TrainSpec.steps", "A setting is written Spec.name = value"),
        ("steps = 100", "steps = ..., which nothing uses. Did you mean TrainSpec.steps?"),
        ("TrainSpec = 3", "which nothing uses. Remove it."),
        ("include 'nothing.gin'", "nothing.gin"),
    ],
)
def test_a_mistake_in_a_binding_is_one_line(binding, message):
    with pytest.raises(UserError) as caught:
        config.load([], [binding])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_value_in_a_file_is_named_with_its_line(gin_file, tmp_path):
    (tmp_path / "base.gin").write_text("\nTrainSpec.steps = 'many'\n")
    with pytest.raises(UserError, match=r"TrainSpec\.steps must be int.*base\.gin, line 2"):
        config.load([gin_file])


def test_a_file_of_a_windows_editor_is_read_and_its_lines_are_reported(tmp_path):
    path = tmp_path / "run.gin"
    path.write_bytes(b"\xef\xbb\xbfmany = 70\r\nTrainSpec.steps = %many\r\n")
    assert config.load([str(path)]).train.steps == 70
    path.write_bytes(b"TrainSpec.steps = 7\r\n\r\nModelSpec.gate = self\r\n")
    with pytest.raises(
        UserError, match=r"gate = self \(\S*run\.gin, line 3\)\. Quote it: .*'self'"
    ):
        config.load([str(path)])
    path.write_bytes("TrainSpec.model_dir = '\u00e4'".encode("latin-1"))
    with pytest.raises(UserError, match=r"must be UTF-8 text\. Received: \S*run\.gin"):
        config.load([str(path)])


def test_a_missing_file_gets_the_nearest_name(gin_file):
    with pytest.raises(UserError, match=r"Did you mean .*run\.gin"):
        config.load([gin_file.replace("run.gin", "rum.gin")])


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="has none"):
        config.read(tmp_path)


def test_a_damaged_record_is_refused(tmp_path):
    (tmp_path / config.CONFIG_JSON).write_text("[1, 2")
    with pytest.raises(UserError, match="must be JSON"):
        config.read(tmp_path)
    config.load([]).save(tmp_path)
    record = files.read_json(tmp_path / config.CONFIG_JSON)
    for settings in (3, {}, {**record["config"], "model": 3}):
        files.write_json(tmp_path / config.CONFIG_JSON, {**record, "config": settings})
        with pytest.raises(UserError, match="must have the form in which it was written"):
            config.read(tmp_path)


def test_included_files_of_the_package_are_named_as_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "mine" / "mine.gin"
    mine.parent.mkdir()
    mine.write_text("include 'demo.gin'\n")
    assert config.load([str(mine)]) == config.load(["demo.gin"])
    # A file beside the one that includes it comes first.
    (mine.parent / "demo.gin").write_text("TrainSpec.steps = 3\n")
    assert config.load([str(mine)]).train.steps == 3


def test_a_file_that_includes_itself_is_refused(tmp_path):
    (tmp_path / "a.gin").write_text(f"include '{tmp_path / 'a.gin'}'\n")
    with pytest.raises(UserError, match=r"must not include themselves\. Received: \S*a\.gin"):
        config.load([str(tmp_path / "a.gin")])
