"""search.json: stages follow one another, and what followed from an older one goes."""

import pytest

from official_vision import config, files
from official_vision.errors import UserError
from official_vision.search.search_folder import read_record, stages_of, write_stage

CONFIG = config.load([], ["SearchSpec.output = 'here'"])


def test_later_stages_go_where_an_earlier_one_differs(tmp_path):
    assert stages_of(tmp_path) == {}
    for stage in ("search", "derive", "retrain"):
        write_stage(tmp_path, CONFIG, stage, {"score": 0.5})
    assert list(stages_of(tmp_path)) == ["search", "derive", "retrain"]
    write_stage(tmp_path, CONFIG, "derive", {"score": 0.5})
    assert list(stages_of(tmp_path)) == ["search", "derive", "retrain"]
    write_stage(tmp_path, CONFIG, "derive", {"score": 0.6})
    assert stages_of(tmp_path) == {"search": {"score": 0.5}, "derive": {"score": 0.6}}
    record = read_record(tmp_path)
    assert record["method"] == "one_shot"
    assert record["config"]["search"]["output"] == "here"
    assert record["versions"]["tensorflow"]


def test_folders_of_something_else_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"has search\.json"):
        read_record(tmp_path)
    files.write_json(tmp_path / "search.json", {"stages": {}})
    with pytest.raises(UserError, match=r"must have format official_vision\.search"):
        stages_of(tmp_path)
