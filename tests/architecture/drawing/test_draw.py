"""Drawings: everything is in them, labels stay in their boxes, and files repeat byte by byte."""

import dataclasses
import re

import pytest

from official_vision.architecture.connections.derive import derive
from official_vision.architecture.drawing import draw as drawing
from official_vision.architecture.drawing.draw import draw
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.plan import make_plan
from official_vision.architecture.zoo import ZOO
from official_vision.errors import UserError


def discrete(name):
    """A network of the zoo where each connection is gated by the first peer it may choose."""
    graph = ZOO[name]()
    rows = {
        node.index: [[1.0] + [0.0] * (len(node.candidates) - 1)] * len(node.fusion.inputs)
        for node in make_plan(graph)
        if node.fusion
    }
    return derive(graph, peer_distributions=rows).architecture


def svg(graph, folder, **settings):
    draw(graph, folder / "net.svg", **settings)
    return (folder / "net.svg").read_text()


def curves(text):
    """Style of each path that is not filled and has a round S in it."""
    paths = re.findall(r'<path d="([^"]*)"[^>]*style="([^"]*)"', text)
    return [style for shape, style in paths if "C" in shape and "fill: none" in style]


def test_one_curve_per_connection_and_per_gate(tmp_path):
    graph = ZOO["assemblenet_plus_plus_50"]()
    assert len(curves(svg(graph, tmp_path))) == 46
    gated = discrete("assemblenet_plus_plus_50")
    styles = curves(svg(gated, tmp_path))
    assert sum("stroke-dasharray" in style for style in styles) == 38
    assert len(styles) == 2 * 38


def test_a_stronger_connection_is_wider(tmp_path):
    nodes = (Stem("rgb", 8), Stem("flow", 8), Block(1, (0, 1), 4))
    text = svg(Architecture("tiny", nodes), tmp_path, strengths={2: (0.1, 0.9)})
    widths = [float(re.search(r"stroke-width: ([\d.]+)", style)[1]) for style in curves(text)]
    assert widths[1] / widths[0] == pytest.approx((0.5 + 2.6 * 0.9) / (0.5 + 2.6 * 0.1), rel=1e-3)


def test_peers_win_over_none(tmp_path):
    nodes = (Stem("rgb", 8), Stem("flow", 8), Block(1, (0, 1), 4))
    graph = Architecture("tiny", nodes)
    assert "stroke-dasharray" not in "".join(curves(svg(graph, tmp_path)))
    styles = curves(svg(graph, tmp_path, peers={2: (1, 1)}))
    assert sum("stroke-dasharray" in style for style in styles) == 2


def test_several_outputs_have_thick_frames():
    from matplotlib.patches import Rectangle

    def frames(graph):
        (axes,) = drawing._Picture(graph, {}, {}).figure.axes
        legend = [text.get_text() for text in axes.get_legend().get_texts()]
        boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        return [box.get_linewidth() for box in boxes], "feeds the classifier" in legend

    nodes = (Stem("rgb", 8), Block(1, (0,), 4), Block(2, (1,), 4), Block(2, (1, 2), 4))
    assert frames(Architecture("two", nodes)) == ([1.3, 1.3, 2.8, 2.8], True)
    assert frames(Architecture("one", nodes[:3])) == ([1.3, 1.3, 1.3], False)


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_same_network_gives_the_same_file(tmp_path, suffix):
    graph = ZOO["slowfast_50"]()
    draw(graph, tmp_path / f"a{suffix}")
    draw(graph, tmp_path / f"b{suffix}")
    first, second = (tmp_path / f"{name}{suffix}" for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_a_picture_fits_a_page_and_is_not_blank(tmp_path):
    import matplotlib.image

    draw(ZOO["assemblenet_plus_plus_50"](), tmp_path / "net.png")
    pixels = matplotlib.image.imread(tmp_path / "net.png")
    assert pixels.shape[1] == 1800
    assert 500 < pixels.shape[0] < 1000
    assert 0.03 < (pixels[..., :3].min(axis=-1) < 0.95).mean() < 0.5


@pytest.mark.parametrize("name", ["net.pdf", "net", "net.svg.gz"])
def test_another_suffix(tmp_path, name):
    with pytest.raises(UserError, match=r"\.svg or \.png"):
        draw(ZOO["slowfast_50"](), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "graph",
    [make() for make in ZOO.values()] + [discrete("assemblenet_plus_plus_50_authors")],
    ids=lambda graph: graph.name,
)
def test_labels_stay_in_their_boxes_and_apart(graph):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.patches import Rectangle

    # Numbers as wide as they come.
    nodes = tuple(
        dataclasses.replace(node, temporal_dilation=16) if node.temporal_dilation > 1 else node
        for node in graph.nodes
    )
    figure = drawing._Picture(dataclasses.replace(graph, nodes=nodes), {}, {}).figure
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    boxes = [p.get_window_extent() for p in axes.patches if isinstance(p, Rectangle)]
    labels = [t for t in axes.texts if t.get_text()]
    extents = [text.get_window_extent() for text in labels]
    assert len(boxes) == len(graph.nodes)
    for text, extent in zip(labels, extents, strict=True):
        assert extent.x0 >= 0
        assert extent.x1 <= figure.bbox.x1
        around = [box for box in boxes if box.overlaps(extent)]
        assert len(around) <= 1, text
        for box in around:
            assert box.x0 < extent.x0, text
            assert extent.x1 < box.x1, text
            assert box.y0 < extent.y0, text
            assert extent.y1 < box.y1, text
    for position, extent in enumerate(extents):
        assert not any(extent.overlaps(other) for other in extents[:position]), labels[position]


def test_an_odd_name_is_drawn_as_it_is(tmp_path):
    graph = dataclasses.replace(ZOO["slowfast_50"](), name="$x_{$ & <net> %d \\frac")
    assert svg(graph, tmp_path).startswith("<?xml")
