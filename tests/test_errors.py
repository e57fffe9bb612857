"""The remedy names the nearest right name, or all of them."""

import pytest

from official_vision.errors import UserError, check_names, nearest


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
