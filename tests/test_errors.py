"""The remedy names the nearest right name, or all of them; a library's error becomes one line."""

import pytest

from official_vision.errors import UserError, check_names, nearest, reason_of


def test_a_close_name_is_proposed():
    assert nearest("dept", ["depth", "gate"]) == "Did you mean 'depth'?"


def test_all_names_are_listed_when_none_is_close():
    assert nearest("zzz", ["b", "a"]) == "Known names: a, b."


def test_unknown_settings_are_refused_with_the_nearest_name() -> None:
    check_names(["window", "stride"], ("stride", "window"), "a prediction")
    with pytest.raises(UserError) as raised:
        check_names(["window", "strid"], ("stride", "window"), "a prediction")
    assert str(raised.value) == (
        "A setting must be one that a prediction has. Received: 'strid'. Did you mean 'stride'?"
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  \n later "), "later"),
        (MemoryError(), "MemoryError"),
        (ValueError("x" * 500), "x" * 300),
    ],
)
def test_the_reason_of_any_error_is_one_line(error, reason):
    assert reason_of(error) == reason
