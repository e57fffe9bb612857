"""The template of pages: what callers pass is text, not markup, and nothing ends a script early."""

from __future__ import annotations

import json
import re

from official_vision.presentation import palette
from official_vision.presentation.pages import page_of, table


def test_titles_and_data_cannot_become_markup() -> None:
    data = {"name": "</script><b>", "share": 0.5}
    page = page_of("a & <b>", "<main>@data@</main>", script="show();", data=data)
    assert "<title>a &amp; &lt;b&gt;</title>" in page
    assert "<main>@data@</main>" in page  # what looks like a place of the template stays
    (text,) = re.findall(r'id="data">(.*?)</script>', page)
    assert json.loads(text) == data
    assert page.index('id="data"') < page.index("show();")


def test_a_page_without_a_script_has_none() -> None:
    page = page_of("title", "<main></main>", header="<p>below</p>")
    assert "<script" not in page
    assert page.index("<h1>title</h1>") < page.index("<p>below</p>") < page.index("<main>")


def test_tables_are_of_texts() -> None:
    assert table(("a", "b"), [("1 < 2", "&")]) == (
        "<table><tr><th>a</th><th>b</th></tr><tr><td>1 &lt; 2</td><td>&amp;</td></tr></table>"
    )


def test_pages_and_pictures_have_one_palette() -> None:
    variables = dict(re.findall(r"--(\w+): (#\w{6});", palette.css_variables()))
    assert {name: variables[name] for name in palette.STREAMS} == palette.STREAMS
    page = page_of("title", "")
    assert palette.css_variables() in page
    assert set(re.findall(r"var\(--(\w+)\)", page)) <= set(variables)
