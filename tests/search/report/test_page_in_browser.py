"""The page in a real browser: it loads without errors, moves with its slider, and lists a node's inputs."""

from __future__ import annotations

import pytest

from official_vision.architecture.zoo import assemblenet_plus_plus_50
from official_vision.search.report import write_report
from tests.browser import opened
from tests.search.report import folders


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser") / "run"
    records = folders.write_run(folder, assemblenet_plus_plus_50().with_settings(26, 0.125))
    return records, write_report(folder).as_uri()


def look(page):
    """Widths of the connections, and the shown lines from peers with their darkness."""
    widths = page.eval_on_selector_all(
        "#graph .wire", "wires => wires.map(wire => Number(wire.getAttribute('stroke-width')))"
    )
    peers = page.eval_on_selector_all(
        "#graph .peer-wire",
        "wires => wires.filter(wire => wire.getAttribute('visibility') === 'visible')"
        ".map(wire => Number(wire.getAttribute('stroke-opacity')))",
    )
    return widths, peers


def table(page, selector):
    rows = page.locator(f"{selector} tbody tr")
    return [row.locator("th, td").all_inner_texts() for row in rows.all()]


def test_the_slider_moves_the_drawing_by_keys_too(browser, run):
    records, address = run
    with opened(browser, address) as watched:
        page = watched.page
        for record, key in ((records[2], "End"), (records[1], "ArrowLeft"), (records[0], "Home")):
            page.get_by_label("Step", exact=True).press(key)
            widths, peers = look(page)
            strengths = [value for row in record.strengths.values() for value in row]
            assert widths == pytest.approx([0.6 + 5.4 * s for s in strengths], abs=0.01)
            assert len(peers) == 46
            step = record.source["step"]
            assert page.locator("#step-shown").inner_text() == f"{step} of 20"
            if step == 20:
                settled = sum(peers)
        assert sum(peers) < settled / 2
        assert watched.problems == []
        assert watched.requests == [address]


def test_a_click_or_enter_lists_a_nodes_inputs(browser, run):
    records, address = run
    with opened(browser, address) as watched:
        page = watched.page
        assert "No node chosen" in page.locator("#inspector").inner_text()
        page.locator('#graph [data-node="12"]').click()
        strengths = [f"{value:.3f}" for value in records[-1].strengths[12]]
        rows = table(page, "#inspector")
        assert [row[0].split()[0] for row in rows] == ["4", "11"]
        assert [row[1] for row in rows] == strengths
        likeliest = records[-1].likeliest_peers()[12]
        assert [int(row[2].split()[0]) for row in rows] == list(likeliest)
        assert len(look(page)[1]) == 2  # lines from peers of this node alone
        page.locator('#graph [data-node="14"]').focus()
        page.keyboard.press("Enter")
        assert [row[0].split()[0] for row in table(page, "#inspector")] == ["4", "12", "13"]
        page.keyboard.press("Escape")
        assert "No node chosen" in page.locator("#inspector").inner_text()
        assert watched.problems == []


def test_playing_ends_at_the_last_step_and_tables_sort(browser, run):
    with opened(browser, run[1]) as watched:
        page = watched.page
        page.get_by_role("button", name="Play the training").click()
        page.get_by_role("button", name="Pause").wait_for()
        assert page.locator("#step-shown").inner_text() in ("0 of 20", "10 of 20")
        page.get_by_role("button", name="Play the training").wait_for()
        assert page.locator("#step-shown").inner_text() == "20 of 20"
        page.locator("#costs-table").get_by_role("button", name="Strength").click()
        shown = [float(row[3]) for row in table(page, "#costs-table")]
        assert len(shown) == 46
        assert shown == sorted(shown, reverse=True)
        assert watched.problems == []


def test_it_can_be_read_without_seeing_it(browser, run):
    with opened(browser, run[1]) as watched:
        page = watched.page
        assert page.title() == "Training run: run"
        assert page.locator("h1").count() == 1
        assert page.locator("html").get_attribute("lang") == "en"
        for section in page.locator("main > section:visible").all():
            assert section.locator("h2").inner_text()
        assert page.get_by_role("slider", name="Step").get_attribute("aria-valuetext") == "step 20"
        pictures = page.locator("svg[role=img]").all()
        assert len(pictures) >= 5
        assert all(picture.get_attribute("aria-label") for picture in pictures)
        name = page.locator('#graph [data-node="9"]').get_attribute("aria-label")
        assert name == "Node 9, block of level 2: 9  C 64, dilation 4, stride 2"


def test_labels_stay_in_their_boxes(browser, run):
    with opened(browser, run[1]) as watched:
        outside = watched.page.evaluate(
            """() => [...document.querySelectorAll('.graph .node')].filter(node => {
              const box = node.querySelector('.box').getBBox();
              return [...node.querySelectorAll('text')].some(text => {
                const bounds = text.getBBox();
                return bounds.x < box.x || bounds.x + bounds.width > box.x + box.width
                  || bounds.y + bounds.height > box.y + box.height + 2;
              });
            }).map(node => node.textContent)"""
        )
        assert outside == []


def test_networks_that_could_be_derived_are_shown_by_choice(browser, run):
    records, address = run
    with opened(browser, address) as watched:
        choice = watched.page.get_by_label("Shown", exact=True)
        for text in choice.locator("option").all_inner_texts():
            choice.select_option(label=text)
            threshold = float(text.rsplit(" ", 1)[1])
            count = len(list(records[-1].derive(threshold).architecture.connections()))
            assert watched.page.locator("#derived-graph .wire").count() == count
        assert watched.problems == []


def test_derived_networks_are_beside_table_1(browser, tmp_path):
    derived = folders.write_search(tmp_path / "search")
    with opened(browser, write_report(tmp_path / "search").as_uri()) as watched:
        page = watched.page
        count = len(list(derived.connections()))
        assert page.locator("#derived-graph .wire").count() == count
        assert page.locator("#published-graph .wire").count() == 46
        rows = table(page, "#pruning-table")
        assert [row[-1] for row in rows] == ["0.7500", "–", "0.7000", "0.3000"]
        assert page.locator("#pruning-charts figure > svg circle").count() == 3
        assert not page.locator("#missing").is_visible()
        assert not page.locator("#derived-choice").is_visible()
        assert watched.problems == []


def test_an_evolution_shows_its_family(browser, tmp_path):
    folder = folders.write_population(tmp_path / "evolution")
    with opened(browser, write_report(folder).as_uri()) as watched:
        page = watched.page
        assert [row[1] for row in table(page, "#lineage-table")] == ["1", "3", "5"]
        assert page.locator("#family .node").count() == 6
        assert page.locator("#ancestor-title").inner_text().startswith("Child 5: change dilation")
        page.locator('#family [data-child="1"]').click()
        assert page.locator("#ancestor-title").inner_text() == "Child 1: first population"
        assert page.locator("#ancestor-graph .wire").count() == 5
        assert watched.problems == []


@pytest.mark.parametrize("width", [390, 900, 1500])
def test_graphs_fit_the_page_and_nothing_runs_out_of_it(browser, run, width):
    with opened(browser, run[1], width=width) as watched:
        page = watched.page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        graph = page.locator("#graph")
        assert graph.locator("svg").bounding_box()["width"] <= graph.bounding_box()["width"]
        assert graph.evaluate("box => box.scrollWidth <= box.clientWidth")
        full = graph.get_by_role("button", name="Full size")
        assert full.is_visible() == (width == 390)
        if width == 390:
            full.click()
            assert graph.locator("svg").bounding_box()["width"] > 700
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            graph.get_by_role("button", name="Fit to the page").click()
            assert graph.locator("svg").bounding_box()["width"] < 390
        assert watched.problems == []
