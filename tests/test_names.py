"""Names of files as text, as folders, and as they are spelled on disk."""

import os
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from official_vision.errors import UserError
from official_vision.names import (
    MOST_NAME_BYTES,
    checked_folder_name,
    checked_name,
    differing_by_case,
    existing_path,
    file_stem,
    one_spelling,
    shown,
)

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
ANY = st.text(st.characters(), max_size=40)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("跑步 é.mp4", "跑步 é.mp4"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("a\nb\t\0", r"a\nb\t\x00"),
        ("\u2028\ud83d", r"\u2028\ud83d"),
    ],
)
def test_what_cannot_be_shown_is_escaped(name, expected):
    assert shown(name) == expected


@given(ANY)
@example("\udce9\ud800")
def test_shown_names_are_one_line_of_utf_8(name):
    assert shown(name).encode().decode() == shown(name)
    assert len(shown(name).splitlines()) <= 1


@given(ANY, st.integers(0, 40))
@example("é" * 200, 14)
@example("a" * 241, 14)
@example("a" * 242, 14)
def test_stems_leave_room_and_differ_where_their_names_do(name, room):
    stem = file_stem(name, room)
    assert len(stem.encode()) + room <= MOST_NAME_BYTES
    if len(shown(name).encode()) + room <= MOST_NAME_BYTES:
        assert stem == shown(name)
    longer, other = file_stem(name + "a" * 250, room), file_stem(name + "a" * 249 + "b", room)
    assert longer != other
    assert len(longer.encode()) + room <= MOST_NAME_BYTES


def test_paths_are_found_in_the_spelling_of_the_disk(tmp_path):
    folder = tmp_path / DECOMPOSED
    folder.mkdir()
    (folder / f"{COMPOSED}.mp4").touch()
    for spelling in (f"{COMPOSED}/{DECOMPOSED}.mp4", f"{DECOMPOSED}/{COMPOSED}.mp4"):
        assert existing_path(tmp_path, spelling) == folder / f"{COMPOSED}.mp4"
    assert existing_path("", f"{tmp_path}/{COMPOSED}/{COMPOSED}.mp4") == folder / f"{COMPOSED}.mp4"
    # What is not there stays as it was written, and of two that look alike the very one is taken.
    assert existing_path(tmp_path, f"{COMPOSED}/no.mp4") == tmp_path / COMPOSED / "no.mp4"
    (folder / f"{DECOMPOSED}.mp4").touch()
    for name in (COMPOSED, DECOMPOSED):
        assert existing_path(folder, f"{name}.mp4").name == f"{name}.mp4"
    for odd in ("a" * 5000, "a\0b", "", "."):
        assert not existing_path(tmp_path, odd).name.startswith("caf")


@given(ANY)
def test_one_spelling_stays(name):
    assert one_spelling(one_spelling(name)) == one_spelling(name)
    assert one_spelling(unicodedata.normalize("NFD", name)) == one_spelling(name)


def test_names_of_classes_may_be_in_any_script():
    for name in ("跑步", "दौड़ना", "مرحبا", "a/b", "..", "x" * 300, " run "):
        assert checked_name(name, "a class", "here") == name.strip()
    for name in ("", " ", "a\nb", "a\0", "\udce9"):
        with pytest.raises(UserError, match=r"^here: a class's name is text of one line"):
            checked_name(name, "a class", "here")
    for name in ("跑步", "p 1.2-3_x", "x" * MOST_NAME_BYTES):
        assert checked_folder_name(name, "a split", "here") == name


def test_names_that_differ_in_case_are_paired():
    assert differing_by_case(["Run", "jump", "run", "RUN", "Run", "stra\u00dfe", "STRASSE"]) == [
        ("Run", "run"),
        ("Run", "RUN"),
        ("stra\u00dfe", "STRASSE"),
    ]
