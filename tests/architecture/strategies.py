"""Hypothesis strategies: networks of all kinds, and invalid values."""

from hypothesis import strategies as st

from official_vision.architecture.graph import MODULES_BY_DEPTH, Architecture, Block, Stem

_COUNTS = st.integers(1, 9)
_STRENGTHS = st.floats(0.001, 0.999)


@st.composite
def stems(draw, is_lite):
    kind = draw(st.sampled_from(["rgb", "flow", "object"]))
    stride = 2 if is_lite and kind != "object" else 4
    return Stem(kind, draw(_COUNTS), draw(_COUNTS), stride)


@st.composite
def blocks(draw, level, inputs, earlier, is_lite, has_peers, last_channels=None):
    """A block of a level with these inputs; `earlier` are the levels of the nodes before it.

    `last_channels` are those that all outputs have, None for a block of any channels.
    """
    last_count = _COUNTS if last_channels is None else st.just(last_channels)
    channels = draw(st.tuples(_COUNTS, _COUNTS, last_count)) if is_lite else draw(last_count)
    stride = draw(st.sampled_from([1, 2, 4]))
    strengths, peers = None, None
    if draw(st.booleans()):
        strengths = tuple(draw(_STRENGTHS) for _ in inputs)
    if has_peers:
        lower = [index for index, other in enumerate(earlier) if other < level]
        peers = tuple(draw(st.sampled_from(lower)) for _ in inputs)
    return Block(level, tuple(inputs), channels, draw(_COUNTS), stride, strengths, peers)


@st.composite
def architectures(draw, has_peers=None, largest=6):
    """A network of up to four stems and `largest` blocks, of every kind that the rules admit.

    Every block of the highest level feeds the classifier, whether it feeds another of them or not.
    """
    is_lite = draw(st.booleans())
    has_peers = draw(st.booleans()) if has_peers is None else has_peers
    nodes = draw(st.lists(stems(is_lite), min_size=1, max_size=4))
    levels = draw(st.lists(st.integers(1, 4), min_size=1, max_size=largest))
    highest, output_channels = max(levels), draw(_COUNTS)
    for level in [*levels, highest]:
        earlier = [node.level for node in nodes]
        last = output_channels if level == highest else None
        admitted = [index for index, other in enumerate(earlier) if other <= level]
        inputs = draw(st.lists(st.sampled_from(admitted), min_size=1, max_size=4, unique=True))
        nodes.append(draw(blocks(level, inputs, earlier, is_lite, has_peers, last)))
    fed = {source for node in nodes for source in node.inputs}
    idle = [i for i, node in enumerate(nodes) if i not in fed and node.level < highest]
    inputs = [*nodes[-1].inputs, *idle]
    earlier = [node.level for node in nodes[:-1]]
    nodes[-1] = draw(blocks(highest, inputs, earlier, is_lite, has_peers, output_channels))
    return Architecture(
        name=draw(st.text("abc_ $é", min_size=1, max_size=9)),
        nodes=tuple(nodes),
        depth=draw(st.sampled_from(sorted(MODULES_BY_DEPTH))),
        block_kind="inverted_bottleneck" if is_lite else "bottleneck",
        width_multiplier=draw(st.sampled_from([0.25, 1, 1.5])),
        rgb_pool_size=draw(st.sampled_from([2, 3])),
        provenance=draw(st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)),
    )


def distributions(draw, connections, candidates):
    """Rows of weights as a softmax would give, one per connection."""
    row = st.lists(st.floats(0, 1), min_size=candidates, max_size=candidates)
    return [draw(row) for _ in range(connections)]


# Values of every type that JSON, gin or a careless caller may hand over.
GARBAGE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)
