"""Files appear whole or not at all."""

import errno
import hashlib
import os

import pytest

from official_vision import files
from official_vision.errors import UserError


def _write_half(context, error):
    with context as partial:
        path = partial / "x" if partial.is_dir() else partial
        path.write_text("half")
        raise error


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError):
        _write_half(files.written_aside(path), RuntimeError)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _write_half(files.folder_written_aside(tmp_path / "out"), KeyboardInterrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_with_its_content(tmp_path):
    with files.folder_written_aside(tmp_path / "out") as partial:
        (partial / "x").write_text("whole")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "x").read_text() == "whole"


def test_a_folder_makes_room_once_the_new_one_is_whole(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        _write_half(files.folder_written_aside(tmp_path / "out", replace=True), KeyboardInterrupt())
    assert (tmp_path / "out" / "old").read_text() == "old"
    with files.folder_written_aside(tmp_path / "out", replace=True) as partial:
        (partial / "x").write_text("new")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "x"]


def test_results_are_as_readable_as_any_file(tmp_path):
    (tmp_path / "usual").write_text("")
    files.write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_json_round_trip_and_errors(tmp_path):
    files.write_json(tmp_path / "a.json", {"é": [1, 2.5, None]})
    assert files.read_json(tmp_path / "a.json") == {"é": [1, 2.5, None]}
    with pytest.raises(UserError, match="cannot be read"):
        files.read_json(tmp_path / "b.json")
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "c.json", float("nan"))
    assert not (tmp_path / "c.json").exists()


def test_sha256_is_the_standard_one(tmp_path):
    content = b"x" * (3 << 20)
    (tmp_path / "a").write_bytes(content)
    assert files.sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_file_that_can_be_written_is_left_as_it_is(tmp_path):
    path = tmp_path / "new" / "result.json"
    files.check_writable(path, "--json")
    assert list((tmp_path / "new").iterdir()) == []
    path.write_text("kept")
    files.check_writable(path, "--json")
    assert path.read_text() == "kept"


def test_a_folder_to_come_is_tried_and_not_made(tmp_path):
    files.check_folder_writable(tmp_path / "a" / "b", "--output")
    files.check_folder_writable(tmp_path, "--output")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "a", "a\0b", "a" * 300):
        with pytest.raises(
            UserError, match=r"^--output must name a folder that can be writ"
        ) as raised:
            files.check_folder_writable(path, "--output")
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "is_reported"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EFBIG, "File too large", "x"), True),
        (RuntimeError("written; No space left on device"), True),  # as TensorFlow reports it
        (OSError(errno.ENOENT, "No such file"), False),
        (RuntimeError("another"), False),
    ],
)
def test_a_full_disk_is_reported_with_its_place(error, is_reported):
    with (
        pytest.raises(UserError if is_reported else type(error)) as raised,
        files.full_disk_reported("--output", "out"),
    ):
        raise error
    assert ("Received: out (" in str(raised.value)) == is_reported


def test_json_holds_any_name_and_may_begin_with_a_mark(tmp_path):
    name = os.fsdecode(b"caf\xe9 \xe8\xb7\x91")
    files.write_json(tmp_path / "a.json", {"video": name})
    assert (tmp_path / "a.json").read_bytes() == b'{\n  "video": "caf\\udce9 \xe8\xb7\x91"\n}\n'
    assert files.read_json(tmp_path / "a.json") == {"video": name}
    (tmp_path / "b.json").write_bytes(b"\xef\xbb\xbf[1]\r\n")
    assert files.read_json(tmp_path / "b.json") == [1]


def test_what_breaks_over_a_file_of_ours_names_it(tmp_path):
    for broken in (lambda: {}["a"], lambda: [][0], lambda: None.x, lambda: int("x"), lambda: 1 / 0):
        with pytest.raises(UserError, match=r"^A file must have"), files.damage_reported(tmp_path):
            broken()
    with pytest.raises(UserError, match=r"^this$"), files.damage_reported(tmp_path):
        raise UserError("this")


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "result.json"):
        with pytest.raises(
            UserError, match=r"^--json must name a file that can be written"
        ) as raised:
            files.check_writable(path, "--json")
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)
