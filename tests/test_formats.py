"""Each file names its format and version; any other is refused in one line with the remedy."""

import json
import re

import pytest

from official_vision import formats
from official_vision.errors import UserError

FORMATS = [value for value in vars(formats).values() if isinstance(value, formats.Format)]


def test_names_differ():
    assert len({item.name for item in FORMATS}) == len(FORMATS) >= 15


@pytest.mark.parametrize("item", FORMATS, ids=lambda item: item.name)
def test_what_is_written_is_read_and_another_version_refused(tmp_path, item):
    path = tmp_path / "a.json"
    values = {"step": 3, "rows": [None, "é"]}
    item.write(path, values)
    written = json.loads(path.read_text())
    assert written == {"format": item.name, "version": item.version, **values}
    assert item.read(path, {"step": int, "rows": (list, type(None))}) == values
    path.write_text(json.dumps({**written, "version": item.version + 1}))
    with pytest.raises(UserError) as raised:
        item.read(path)
    assert str(raised.value) == (
        f"The file must have format {item.name}, version {item.version}. Received: {path}, "
        f"which has format {item.name}, version {item.version + 1}. {item.remedy}"
    )
    assert re.search(r"[a-z]\.$", item.remedy)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "The file must be JSON"),
        ("[]", "which has none"),
        ("null", "which has none"),
        ('{"step": 3}', "which has none"),
        ('{"format": "x", "version": 1}', "which has format x, version 1"),
        ('{"format": "official_vision.result"}', "result, version None"),
        ('{"format": "official_vision.result", "version": [1]}', r"version \[1\]"),
        ('{"format": "official_vision.result", "version": 2}', "form .* Received: .* \\(no 'step'"),
        ('{"format": "official_vision.result", "version": 2, "step": "3"}', "'step' is '3'"),
        ('{"format": "official_vision.result", "version": 2, "step": null}', "'step' is None"),
    ],
)
def test_another_file_is_one_line(tmp_path, content, words):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(UserError, match=words) as raised:
        formats.RESULT.read(path, {"step": int})
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
