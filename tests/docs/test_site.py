"""`make docs`: the site is built without a warning, and what it must have and must not have."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urljoin

import pytest
import yaml
from mkdocs.exceptions import PluginError

import official_vision as ov
from tools import documentation, tutorials

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = [sys.executable, "-m", "mkdocs", "build", "--strict"]


def build(folder: Path, config: Path) -> subprocess.CompletedProcess:
    command = [*BUILD, f"--site-dir={folder}", f"--config-file={config}"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder, REPOSITORY / "mkdocs.yml")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, str]:
    """Path of each page in the site -> HTML."""
    paths = (path for path in site.rglob("*.html") if path.name != "404.html")
    return {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def test_make_docs_builds_as_the_tests_do() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    assert "\t" + "NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict\n" in makefile


def navigation(entries: list) -> list[str]:
    """The pages of mkdocs.yml's nav."""
    places = []
    for entry in entries:
        (value,) = entry.values() if isinstance(entry, dict) else [entry]
        places += navigation(value) if isinstance(value, list) else [value]
    return places


def test_each_page_has_one_place_in_the_navigation(pages: dict[str, str]) -> None:
    settings = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())
    places = [place.removesuffix(".md") + ".html" for place in navigation(settings["nav"])]
    assert sorted(places) == sorted(pages)
    sources = {
        path.relative_to(REPOSITORY / "docs") for path in (REPOSITORY / "docs").rglob("*.md")
    }
    assert {path.with_suffix(".html").as_posix() for path in sources} <= set(pages)


def test_links_and_anchors_lead_somewhere(site: Path, pages: dict[str, str]) -> None:
    """Of the pages as they are built: mkdocs checks those of the sources alone, and no links into other files."""
    broken = []
    for name, html in pages.items():
        for link in re.findall(r'(?:href|src)="([^"]+)"', html):
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = urljoin(name, unquote(link)).partition("#")
            path = site / (target or name)
            if target.endswith("/") or not path.is_file():
                broken.append(f"{name}: {link}")
            elif anchor and path.suffix == ".html" and anchor != "__skip":
                found_at = re.search(rf'id="?{re.escape(anchor)}"?[\s>]', path.read_text())
                broken += [] if found_at else [f"{name}: {link}"]
    assert broken == []


def test_pages_load_nothing_from_elsewhere(site: Path, pages: dict[str, str]) -> None:
    for name, html in pages.items():
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="([^"]+)"', html)
        loaded += re.findall(r'<link[^>]* href="([^"]+)"', html)
        assert not [address for address in loaded if re.match(r"(?:https?:)?//", address)], name
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:", path.read_text(encoding="utf-8")), path


def test_search_works_in_pages_opened_as_files(site: Path, browser) -> None:
    page = browser.new_page()
    addresses = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto((site / "guides" / "recipes.html").as_uri())
    page.wait_for_selector("iframe", state="attached")
    page.focus("[data-md-component=search-query]")
    page.keyboard.type("hysteresis")
    page.wait_for_selector("text=Where a time begins and ends")
    assert not [address for address in addresses if address.startswith("http")]
    page.close()


def test_no_page_is_wider_than_the_window(site: Path, pages: dict[str, str], browser) -> None:
    """Tables and code that are wider scroll by themselves."""
    page = browser.new_page()
    for name in pages:
        page.goto((site / name).as_uri())
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            # Scripts of the page follow a change of size in the frame after it.
            page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
            assert page.evaluate("document.documentElement.scrollWidth") == width, name
    page.goto((site / "settings.html").as_uri())
    page.set_viewport_size({"width": 390, "height": 900})
    widest = "Math.max(...[...document.querySelectorAll('td')].map((cell) => cell.offsetWidth))"
    assert page.evaluate(widest) < 390
    page.close()


def test_the_reference_has_every_public_name_with_its_signature(pages: dict[str, str]) -> None:
    html = "".join(text for name, text in pages.items() if name.startswith("reference/"))
    layers = documentation.reference_pages()["reference/layers.md"]
    names = [f"official_vision.{name}" for name in ov.__all__ if name != "layers"]
    names += re.findall(r"^::: (\S+)$", layers, flags=re.MULTILINE)
    assert len(names) > len(ov.__all__) + 10
    for name in names:
        assert f'id="{name}"' in html, name
    text = re.sub(r"<[^>]+>", "", pages["reference/official_vision.html"])
    assert re.search(
        r"estimate_cost\(\s*architecture: str\s*\| PathLike\s*\| Architecture = ", text
    )


def test_docstrings_have_no_section_that_stayed_text(pages: dict[str, str]) -> None:
    for name, html in pages.items():
        if name.startswith("reference/"):
            assert not re.search(r"<p>(?:Args|Returns|Raises|Attributes):", html), name
            assert "&gt;&gt;&gt; " not in re.sub(r"(?s)<pre.*?</pre>", "", html), name


@pytest.mark.parametrize("name", tutorials.NAMES)
def test_each_tutorial_offers_its_notebook(name: str, site: Path, pages: dict[str, str]) -> None:
    assert f'href="{name}.ipynb"' in pages[f"tutorials/{name}.html"]
    book = json.loads((site / "tutorials" / f"{name}.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in book["cells"] for output in cell.get("outputs", [])]
    text = (tutorials.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    pictures = [cell.picture for cell in tutorials.cells_of(text) if cell.picture]
    assert len(outputs) == len(pictures) + text.count("```output\n")
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    prose = [cell["source"] for cell in book["cells"] if cell["cell_type"] == "markdown"]
    assert "](" not in json.dumps(prose)


def test_files_beside_docs_are_there(site: Path) -> None:
    copied = site / "files" / "gin_configs" / "own_videos.gin"
    assert copied.read_text() == (REPOSITORY / "gin_configs" / "own_videos.gin").read_text()


@pytest.mark.parametrize(
    ("uri", "link", "fitted"),
    [
        ("index.md", "docs/settings.md#dataspec", "settings.md#dataspec"),
        ("index.md", "CONTRIBUTING.md", "contributing.md"),
        ("contributing.md", "docs/glossary.md", "glossary.md"),
        ("guides/recipes.md", "../../gin_configs/demo.gin", "../files/gin_configs/demo.gin"),
        ("guides/recipes.md", "../demo.md", "../demo.md"),
        ("design.md", "https://example.org/x.md", "https://example.org/x.md"),
    ],
)
def test_links_are_fitted(uri: str, link: str, fitted: str) -> None:
    text = documentation.fitted_links(f"[a]({link}) `[a]({link})`\n```\n[a]({link})\n```\n", uri)
    assert text == f"[a]({fitted}) `[a]({link})`\n```\n[a]({link})\n```\n"


def test_a_link_to_nothing_is_refused() -> None:
    with pytest.raises(PluginError, match=r"Received: missing\.md in docs/faq\.md"):
        documentation.fitted_links("[a](missing.md)", "faq.md")
