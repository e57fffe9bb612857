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


def charts(page, section):
    """Title -> what uPlot has of a chart, and what lies above its canvas; the marker is at an x, or None."""
    read = page.evaluate(
        """section => [...document.querySelectorAll(`${section} figure`)].map(figure => {
          const { plot } = figure, marker = figure.querySelector(".marker");
          return {title: figure.querySelector("figcaption").textContent,
            series: Object.fromEntries(plot.series.slice(1).map((one, index) => [one.label,
              {x: plot.data[index + 1][0], y: plot.data[index + 1][1], opacity: one.alpha}])),
            marker: marker.hidden ? null : plot.posToVal(parseFloat(marker.style.left), "x"),
            labels: Object.fromEntries([...figure.querySelectorAll(".label")].map(
              label => [label.textContent, parseFloat(label.style.top)]))};
        })""",
        section,
    )
    return {chart.pop("title"): chart for chart in read}


def colour_at(figure, x, y):
    """Red, green, blue and opacity of a chart's canvas at values of its axes."""
    return figure.evaluate(
        """({plot}, [x, y]) => {
          const { width, height } = plot.ctx.canvas;
          const copy = Object.assign(document.createElement("canvas"), { width, height })
            .getContext("2d", { willReadFrequently: true });
          copy.drawImage(plot.ctx.canvas, 0, 0);
          return [...copy.getImageData(Math.round(plot.valToPos(x, "x", true)),
            Math.round(plot.valToPos(y, "y", true)), 1, 1).data];
        }""",
        [x, y],
    )


def point_at(figure, x, y):
    """Moves the pointer to values of a chart's axes; returns the text that appears, or None."""
    over = figure.locator(".u-over")
    over.scroll_into_view_if_needed()
    left, top = figure.evaluate(
        "({plot}, [x, y]) => [plot.valToPos(x, 'x'), plot.valToPos(y, 'y')]", [x, y]
    )
    over.hover(position={"x": left, "y": top})
    figure.evaluate("() => new Promise(done => requestAnimationFrame(done))")
    tip = figure.locator(".tip")
    return tip.inner_text() if tip.is_visible() else None


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
            markers = {title: chart["marker"] for title, chart in charts(page, "#curves").items()}
            assert markers.pop("Strength of each connection") == pytest.approx(step, abs=0.01)
            assert markers.pop("How open each choice of a peer still is") == pytest.approx(
                step, abs=0.01
            )
            # The history begins at step 10.
            shown = None if step == 0 else pytest.approx(step)
            assert markers == {"Training loss": shown, "Validation": shown}
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
        shown = charts(page, "#curves")
        opacities = {
            name: one["opacity"]
            for name, one in shown["Strength of each connection"]["series"].items()
        }
        inputs = {"4 → 14", "12 → 14", "13 → 14"}
        assert len(opacities) == 46
        assert all(
            value == pytest.approx(0.88 if name in inputs else 0.0825)
            for name, value in opacities.items()
        )
        openness = shown["How open each choice of a peer still is"]
        assert openness["series"]["mean"]["opacity"] == 1
        assert set(openness["labels"]) == {"12", "13", "4"}
        assert shown["Training loss"]["series"]["loss"]["opacity"] == 1
        page.locator('#graph [data-node="6"]').focus()
        page.keyboard.press("Enter")
        tops = charts(page, "#curves")["Strength of each connection"]["labels"]
        assert 5 < tops["4"] < 6  # pixels: the upper stays at the end of its line
        assert tops["1"] == pytest.approx(tops["4"] + 13, abs=0.01)
        page.keyboard.press("Escape")
        assert "No node chosen" in page.locator("#inspector").inner_text()
        shown = charts(page, "#curves")["Strength of each connection"]
        assert {one["opacity"] for one in shown["series"].values()} == {0.55}
        assert shown["labels"] == {}
        assert watched.problems == []


def test_curves_are_those_of_the_run_and_show_values_at_the_pointer(browser, run):
    records, address = run
    with opened(browser, address) as watched:
        page = watched.page
        shown = charts(page, "#curves")
        strengths = shown["Strength of each connection"]["series"]
        for source, consumer in records[0].architecture.connections():
            row = records[0].architecture.nodes[consumer].inputs.index(source)
            one = strengths[f"{source} → {consumer}"]
            expected = [record.strengths[consumer][row] for record in records]
            assert one["x"] == [0, 10, 20]
            assert one["y"] == pytest.approx(expected, abs=1e-4)
        assert shown["Training loss"]["series"]["loss"] == {
            "x": [10, 20],
            "y": [0.1, 0.05],
            "opacity": 1,
        }
        loss = page.locator("#curves figure", has_text="Training loss")
        assert colour_at(loss, 15, 0.075)[:3] == pytest.approx([29, 36, 51], abs=40)  # ink
        assert colour_at(loss, 15, 0.092)[3] == 0
        assert point_at(loss, 20, 0.05) == "loss: 0.05 at 20"
        assert point_at(loss, 15, 0.095) is None
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
        pictures = page.locator("svg[role=img]").all() + page.locator(".chart [role=img]").all()
        assert len(pictures) == 8
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
        scores = charts(page, "#pruning-charts")["mAP against kept connections"]["series"]
        assert {name: (one["x"], one["y"]) for name, one in scores.items()} == {
            "one-shot": ([5], [0.75]),
            "discrete, retrained": ([count], [0.7]),
            "discrete, other shares": ([count - 1], [0.3]),
        }
        figure = page.locator("#pruning-charts figure").first
        assert colour_at(figure, count, 0.7)[:3] == [0x00, 0x72, 0xB2]
        assert colour_at(figure, 5, 0.75)[:3] == [255, 255, 255]  # a ring
        assert not page.locator("#missing").is_visible()
        assert not page.locator("#derived-choice").is_visible()
        assert watched.problems == []


def test_an_evolution_shows_its_family(browser, tmp_path):
    folder = folders.write_population(tmp_path / "evolution")
    with opened(browser, write_report(folder).as_uri()) as watched:
        page = watched.page
        assert [row[1] for row in table(page, "#lineage-table")] == ["1", "3", "5"]
        assert page.locator("#family .node").count() == 6
        children, front = charts(page, "#evolution-charts").values()
        assert children["series"]["ancestors"]["x"] == [1, 3, 5]
        assert (children["series"]["failed"]["x"], children["series"]["failed"]["y"]) == (
            [2],
            [0.3],
        )
        assert front["series"]["front"]["x"] == [100, 250, 400]
        assert list(front["labels"]) == ["0", "3", "5"]
        over_children, against_cost = page.locator("#evolution-charts figure").all()
        assert point_at(over_children, 3, 0.5).startswith("Child 3 of 1: change dilation")
        assert point_at(over_children, 2, 0.3).startswith("Child 2 of 1: change dilation")
        assert point_at(against_cost, 260, 0.45).startswith("Child 4 of 1: change dilation")
        assert colour_at(over_children, 3, 0.5)[:3] == [0xD5, 0x5E, 0x00]
        assert colour_at(over_children, 2, 0.3)[:3] == [0x7B, 0x2D, 0x8E]
        # A step, level to the next child of the front.
        assert colour_at(against_cost, 330, 0.5)[:3] == [0x00, 0x72, 0xB2]
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
