"""Names in scripts that matplotlib's font lacks: drawn by installed fonts, or reported once."""

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.figure import Figure

from official_vision.presentation import fonts
from official_vision.presentation.pictures import names_readable, save_png

RUN, JUMP = "跑", "跳"  # of which the font below has the first, as a black square


def write_font(path, letter, family):
    """A font whose only letter is a square from the baseline to the full size."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 1000), (1000, 1000), (1000, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "letter"])
    builder.setupCharacterMap({ord(letter): "letter"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "letter": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "letter": (1000, 0)})
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A machine with one more font, and a damaged one; nothing of an earlier search is remembered."""
    installed_fonts = [write_font(tmp_path / "square.ttf", RUN, "Square Test")]
    (tmp_path / "damaged.ttf").write_bytes(b"no font")
    monkeypatch.setattr(
        font_manager, "findSystemFonts", lambda: [*installed_fonts, str(tmp_path / "damaged.ttf")]
    )
    monkeypatch.setattr(fonts, "_reported", set())
    fonts._families.cache_clear()
    yield
    fonts._families.cache_clear()


@pytest.mark.usefixtures("installed")
def test_a_letter_comes_from_the_font_that_has_it(capfd):
    mask = fonts.text_mask(RUN, height=20, width=100)
    rows, columns = np.nonzero(mask > 128)
    # Letters are 14 pixels high here, and a quarter of the line lies below the baseline.
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (14, 14)
    assert abs(rows.max() - 14) <= 1
    assert (mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] > 128).all()
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("installed")
def test_figures_and_their_ticks_name_the_font(tmp_path):
    figure = Figure()
    axes = figure.subplots()
    axes.set_yticks([0], [f"{RUN} class"])
    axes.set_title("plain")
    save_png(figure, tmp_path / "a.png")
    assert "Square Test" in axes.get_yticklabels()[0].get_fontfamily()


@pytest.mark.usefixtures("installed")
def test_what_no_font_has_is_reported_once_in_one_line(capfd):
    assert fonts.families_for([f"{JUMP}{RUN} and {JUMP}"]) == ["Square Test"]
    printed = capfd.readouterr().err
    assert printed.startswith(f"note: no installed font has {JUMP}: ")
    assert printed.count("\n") == 1
    assert fonts.families_for([JUMP]) == []
    assert capfd.readouterr().err == ""


def test_plain_names_look_for_no_font(monkeypatch):
    monkeypatch.setattr(font_manager, "findSystemFonts", None)
    assert fonts.families_for(["Rad fahren, бег, σκι\n\t"]) == []
    with names_readable(Figure()):
        pass


def test_long_names_are_shortened_to_their_width():
    long, short = (fonts.text_mask(text, 20, 120) for text in ("m" * 60, "i"))
    assert long.shape == short.shape == (20, 120)
    columns = np.flatnonzero((long > 128).any(axis=0))
    assert 100 < columns.max() < 120
