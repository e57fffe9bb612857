"""A real browser for tests of pages: Chromium as the machine has it, driven by Playwright."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Yields playwright's Browser; where there is none, CI fails and other machines skip the test."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with api.sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, _NAMES)), playwright.chromium.executable_path)
        if not shutil.which(path):
            missing = f"no Chromium on this machine: none of {', '.join(_NAMES)} is on PATH"
            pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@dataclasses.dataclass
class Watched:
    """A page that is open, with its console messages and requests.

    Attributes:
      page: playwright's Page.
      problems: errors and warnings on its console, and exceptions of its scripts.
      requests: addresses that it requested, beginning with the page's.
    """

    page: Any
    problems: list[str] = dataclasses.field(default_factory=list)
    requests: list[str] = dataclasses.field(default_factory=list)


@contextlib.contextmanager
def opened(
    browser: Any, address: str, *, width: int = 1280, height: int = 900
) -> Iterator[Watched]:
    """Opens an address (file:// or http://) in a window of that size, as a new visitor."""
    context = browser.new_context(viewport={"width": width, "height": height})
    watched = Watched(context.new_page())

    def heard(message: Any) -> None:
        if message.type in ("error", "warning"):
            watched.problems.append(f"{message.type}: {message.text}")

    watched.page.on("console", heard)
    watched.page.on("pageerror", lambda error: watched.problems.append(f"exception: {error}"))
    watched.page.on("request", lambda request: watched.requests.append(request.url))
    watched.page.goto(address)
    try:
        yield watched
    finally:
        context.close()
