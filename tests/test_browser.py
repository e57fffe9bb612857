"""A page's errors and requests are recorded, on which the other browser tests rely."""

from __future__ import annotations

from tests.browser import opened

PAGE = """<!doctype html><title>Page</title><link rel="icon" href="data:,"><h1>Seen</h1>
<script>console.error('said'); console.log('harmless'); document.title = 'run';
fetch('http://localhost:9/missing').catch(() => 0); setTimeout(() => { missing(); }, 0)</script>"""


def test_errors_and_requests_of_a_page_are_heard(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(PAGE)
    with opened(browser, path.as_uri(), width=640, height=480) as watched:
        assert watched.page.title() == "run"
        assert watched.page.evaluate("[innerWidth, innerHeight]") == [640, 480]
        watched.page.wait_for_timeout(300)
    assert "error: said" in watched.problems
    assert any(problem.startswith("exception: ") for problem in watched.problems)
    assert not any("harmless" in problem for problem in watched.problems)
    assert watched.requests[0] == path.as_uri()
    assert "http://localhost:9/missing" in watched.requests
