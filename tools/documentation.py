"""What mkdocs does for the site beyond docs/ (mkdocs.yml names this file): hooks.

Three files beside docs/ become pages, files that pages link to are copied, each tutorial gets its notebook, and the
reference's pages are written from the packages' lists of public names.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import official_vision
from official_vision.errors import UserError
from tools import tutorials

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
# Files beside docs/ -> their pages.
ROOT_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
# Where other files that pages link to are copied.
_COPIES = "files"
# Code, which is passed over, or a link's target.
_LINK = re.compile(
    r"^```.*?^```|`[^`\n]+`|(?<=\]\()(?!\w+:|#)(?P<target>[^)\s#]+)", re.MULTILINE | re.DOTALL
)
_SETTING = re.compile(r"(?<=<code>)\w+Spec\.\w+(?=</code>)")
_TITLE = re.compile(r"\A(# .+\n)")

_FUNCTIONS = """# Functions and classes

What `import official_vision as ov` offers, but for settings and layers, which have separate pages.
"""
_SPECS = """# Settings as classes

Plain dataclasses that check themselves when they are made; `ov.ModelSpec(depth=26)` is one. Every field has a
default: [settings](../settings.md) has them, with the values that are allowed.
"""
# Theirs would show how a default is declared.
_WITHOUT_SIGNATURE = "    options:\n      show_signature: false\n"
_LAYERS = """# Layers

The parts of the papers' networks as Keras layers, in `official_vision.layers`, for any tf_keras model.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds pages and files that are not in docs/."""
    for name, uri in ROOT_PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(REPOSITORY / name)))
    for uri, text in reference_pages().items():
        files.append(File.generated(config, uri, content=text))
    for path in sorted((DOCS / "tutorials").glob("*.md")):
        text = jupytext.writes(tutorials.notebook_with_outputs(path), fmt="ipynb") + "\n"
        files.append(File.generated(config, f"tutorials/{path.stem}.ipynb", content=text))
    for path in sorted(_linked_files(files)):
        name = path.relative_to(REPOSITORY).as_posix()
        files.append(File.generated(config, f"{_COPIES}/{name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fits links to the site, and links each tutorial's notebook below its title."""
    del config, files
    uri = page.file.src_uri
    text = fitted_links(markdown, uri)
    # Marks of tests, and a class of the style sheet, which are no languages.
    text = re.sub(r"^```python run$", "```python", text, flags=re.MULTILINE)
    text = re.sub(r"^```message$", "``` { .text .message }", text, flags=re.MULTILINE)
    if uri.startswith("tutorials/"):
        name = posixpath.basename(uri).removesuffix(".md")
        link = f"[The same as a notebook]({name}.ipynb){{: .notebook download={name}.ipynb }}"
        text = _TITLE.sub(rf"\1\n{link}\n", text)
    return text


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Marks the page of settings for the style sheet, and lets names of settings break between their words."""
    del config, files
    if page.file.src_uri != "settings.md":
        return html
    broken = _SETTING.sub(lambda name: re.sub(r"([._])", r"\1<wbr>", name[0]), html)
    return f'<div class="settings">{broken}</div>'


def fitted_links(markdown: str, uri: str) -> str:
    """Returns a page's text with links to where the site has the files.

    Args:
      markdown: the text; links are relative to the file that it comes from.
      uri: the page's path in the site's sources, as mkdocs has it, e.g. "guides/recipes.md".

    Raises:
      PluginError: a link leads to no file; mkdocs ends with it in one line.
    """
    folder = _source(uri).parent

    def fitted(link: re.Match) -> str:
        if not link["target"]:
            return link[0]
        target = (folder / link["target"]).resolve()
        if not target.is_file():
            place = _source(uri).relative_to(REPOSITORY)
            raise PluginError(
                f"Links must lead to files. Received: {link['target']} in {place}. Correct it."
            )
        return posixpath.relpath(_uri(target), posixpath.dirname(uri) or ".")

    return _LINK.sub(fitted, markdown)


def reference_pages() -> dict[str, str]:
    """Returns the text of each page of the reference, by its path in the site's sources."""
    names = [name for name in official_vision.__all__ if name != "layers"]
    specs = [name for name in names if name.endswith("Spec")]
    layers = _public_names(REPOSITORY / "official_vision" / "layers" / "__init__.py")
    functions = [name for name in names if name not in specs]
    return {
        "reference/official_vision.md": _FUNCTIONS + _entries("official_vision", functions),
        "reference/specs.md": _SPECS + _entries("official_vision", specs, _WITHOUT_SIGNATURE),
        "reference/layers.md": _LAYERS + _entries("official_vision.layers", layers),
    }


def _entries(package: str, names: Iterable[str], options: str = "") -> str:
    return "".join(f"\n::: {package}.{name}\n{options}" for name in names)


def _public_names(path: Path) -> list[str]:
    """Returns a module's __all__ without importing it: layers need TensorFlow."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    raise UserError(f"A public module must have __all__. Received: {path}. Name its public names.")


def _linked_files(files: Files) -> Iterator[Path]:
    """Yields files outside docs/ that pages link to and that are no pages themselves."""
    for page in files.documentation_pages():
        source = _source(page.src_uri)
        if not source.is_file():  # of the reference, which has no links
            continue
        for link in _LINK.finditer(source.read_text(encoding="utf-8")):
            target = (source.parent / (link["target"] or "")).resolve()
            if _uri(target).startswith(f"{_COPIES}/") and target.is_file():
                yield target


def _source(uri: str) -> Path:
    """Returns the file of a page."""
    for name, root_uri in ROOT_PAGES.items():
        if uri == root_uri:
            return REPOSITORY / name
    return DOCS / uri


def _uri(path: Path) -> str:
    """Returns where the site's sources have a file of the repository."""
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    name = path.relative_to(REPOSITORY).as_posix()
    return ROOT_PAGES.get(name, f"{_COPIES}/{name}")
