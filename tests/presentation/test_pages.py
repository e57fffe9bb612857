"""The template of pages: what callers pass is text, not markup, and nothing ends a script early."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from official_vision.presentation import chart_library, palette
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


def test_the_chart_library_is_the_published_one_that_its_readme_names() -> None:
    folder = Path(chart_library.__file__).parent / "assets" / "uplot"
    readme = (folder / "README.md").read_text()
    sums = dict(re.findall(r"\| `(\S+)` \| `(\w{64})` \|", readme))
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".md"}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in files.items()} == sums
    (version,) = re.findall(r"uPlot \(v(.+?)\)", chart_library.script())
    assert readme.startswith(f"# uPlot {version}\n")
