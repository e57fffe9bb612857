"""The remedy names the nearest right name, or all of them."""

from official_vision.errors import nearest


def test_a_close_name_is_proposed():
    assert nearest("dept", ["depth", "gate"]) == "Did you mean 'depth'?"


def test_all_names_are_listed_when_none_is_close():
    assert nearest("zzz", ["b", "a"]) == "Known names: a, b."
