"""The published networks and two hand-designed baselines, in one visible table.

Rows are (inputs, C, temporal dilation, spatial stride); numbers come from Table 1 of the
AssembleNet++ supplement (arXiv 2008.08072) and from the authors' published structures (also Ryoo et
al. 2020, arXiv 1905.13209).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from official_vision.architecture.connections import published_strengths as published
from official_vision.architecture.formats import read_architecture
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.errors import UserError, nearest
from official_vision.packaged import located

_OBJECTS = 151  # ADE20K's 150 classes and none


def _blocks(
    level_rows: Mapping[int, Sequence[tuple]], strengths: Sequence[Sequence[float]] = ()
) -> tuple[Block, ...]:
    """Returns the blocks of each level's rows; `strengths` belong to blocks with several inputs, in order."""
    remaining = iter(strengths)
    blocks = []
    for level, rows in level_rows.items():
        for inputs, channels, dilation, stride in rows:
            weights = tuple(next(remaining)) if strengths and len(inputs) > 1 else None
            blocks.append(Block(level, tuple(inputs), channels, dilation, stride, weights))
    return tuple(blocks)


def _stems(rows: Sequence[tuple[str, int, int]], stride: int = 4) -> tuple[Stem, ...]:
    """Returns the stems of rows (kind, channels, temporal dilation)."""
    return tuple(Stem(kind, channels, dilation, stride) for kind, channels, dilation in rows)


# Level -> rows of Table 1.
_PLUS_PLUS_ROWS = {
    1: [
        ([0, 1, 2, 3, 4], 32, 1, 1),
        ([0, 1, 4], 32, 4, 1),
        ([2, 3, 4], 32, 8, 1),
        ([2, 3, 4], 32, 1, 1),
    ],
    2: [
        ([0, 1, 2, 4, 5, 6, 7, 8], 64, 4, 2),
        ([2, 3, 4, 7, 8], 64, 1, 2),
        ([0, 4, 5, 6, 7], 128, 8, 2),
    ],
    3: [([4, 11], 256, 8, 2), ([2, 3, 4, 5, 6, 7, 8, 10, 11], 256, 4, 2)],
    4: [([4, 12, 13], 512, 2, 2)],
}


def assemblenet_plus_plus_50() -> Architecture:
    """Returns AssembleNet++-50 exactly as in Table 1 of the supplement."""
    stems = [
        ("rgb", 32, 2),
        ("rgb", 32, 4),
        ("flow", 32, 1),
        ("flow", 32, 1),
        ("object", _OBJECTS, 1),
    ]
    return Architecture(
        "assemblenet_plus_plus_50",
        _stems(stems) + _blocks(_PLUS_PLUS_ROWS),
        provenance={"source": "AssembleNet++ supplement, Table 1"},
    )


def assemblenet_plus_plus_50_authors() -> Architecture:
    """Returns the authors' network: stems share 128 channels, node 2 dilates by 2, block 14 lacks objects."""
    stems = [
        ("rgb", 25, 2),
        ("rgb", 25, 4),
        ("flow", 25, 2),
        ("flow", 25, 1),
        ("object", _OBJECTS, 4),
    ]
    rows = {**_PLUS_PLUS_ROWS, 4: [([12, 13], 512, 2, 2)]}
    return Architecture(
        "assemblenet_plus_plus_50_authors",
        _stems(stems) + _blocks(rows, published.ASSEMBLENET_PLUS_PLUS),
        rgb_pool_size=3,
        provenance={"source": "AssembleNet++ authors' file"},
    )


def _assemblenet(name: str, depth: int, level_3: int, level_4: int) -> Architecture:
    rows = {
        1: [([1], 32, 1, 1), ([0], 32, 4, 1), ([0, 1, 2, 3], 32, 1, 1), ([2, 3], 32, 2, 1)],
        2: [
            ([0, 4, 5, 6, 7], 64, 2, 2),
            ([0, 2, 4, 7], 64, 1, 2),
            ([0, 5, 7], 64, 4, 2),
            ([0, 5], 64, 1, 2),
        ],
        3: [([4, 8, 10, 11], level_3, 1, 2), ([8, 9], level_3, 4, 2)],
        4: [([12, 13], level_4, 2, 2)],
    }
    return Architecture(
        name,
        _stems([("rgb", 32, 4), ("rgb", 32, 4), ("flow", 32, 1), ("flow", 32, 1)])
        + _blocks(rows, published.ASSEMBLENET),
        depth=depth,
        rgb_pool_size=3,
        provenance={"source": "AssembleNet, arXiv 1905.13209, authors' file"},
    )


def assemblenet_50() -> Architecture:
    """Returns AssembleNet-50 with its published strengths."""
    return _assemblenet("assemblenet_50", 50, 256, 512)


def assemblenet_101() -> Architecture:
    """Returns AssembleNet-101 with its published strengths; narrower at levels 3 and 4."""
    return _assemblenet("assemblenet_101", 101, 192, 256)


def assemblenet_plus_plus_lite() -> Architecture:
    """Returns AssembleNet++-lite; the width of its stems is not published: 24 is our choice."""
    first, second, third, fourth = (27, 27, 12), (54, 54, 24), (152, 152, 68), (432, 432, 192)
    early, middle = [0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7]
    rows = {
        1: [([0, 1], first, 1, 2), ([0, 1], first, 4, 2)],
        2: [(early, second, dilation, 2) for dilation in (2, 1, 4, 1)],
        3: [(middle, third, 1, 2), (middle, third, 4, 2)],
        4: [([2, 3, 4, 5, 6, 7, 8, 9], fourth, 2, 2)],
    }
    return Architecture(
        "assemblenet_plus_plus_lite",
        _stems([("rgb", 24, 1), ("flow", 24, 1)], stride=2)
        + _blocks(rows, published.ASSEMBLENET_PLUS_PLUS_LITE),
        block_kind="inverted_bottleneck",
        convolution_padding="same",
        provenance={"source": "AssembleNet++-lite authors' file"},
    )


def two_stream_r2plus1d_50() -> Architecture:
    """Returns a hand-designed baseline: rgb and flow (2+1)-D ResNets that meet in the last block."""
    rows = {
        1: [([0], 64, 1, 1), ([1], 64, 1, 1)],
        2: [([2], 128, 1, 2), ([3], 128, 1, 2)],
        3: [([4], 256, 1, 2), ([5], 256, 1, 2)],
        4: [([6, 7], 512, 1, 2)],
    }
    return Architecture(
        "two_stream_r2plus1d_50",
        _stems([("rgb", 64, 1), ("flow", 64, 1)]) + _blocks(rows),
        provenance={"source": "hand-designed baseline"},
    )


def slowfast_50() -> Architecture:
    """Returns a hand-designed baseline shaped as SlowFast: a thin fast stream feeds a slow one at each level.

    Blocks have no temporal stride: the slow stream looks far (dilation 8), the fast one near.
    """
    rows = {
        1: [([0, 1], 112, 8, 1), ([1], 16, 1, 1)],
        2: [([2, 3], 224, 8, 2), ([3], 32, 1, 2)],
        3: [([4, 5], 448, 8, 2), ([5], 64, 1, 2)],
        4: [([6, 7], 512, 4, 2)],
    }
    return Architecture(
        "slowfast_50",
        _stems([("rgb", 112, 8), ("rgb", 16, 1)]) + _blocks(rows),
        provenance={"source": "hand-designed baseline in the shape of SlowFast, arXiv 1812.03982"},
    )


ZOO = {
    make.__name__: make
    for make in (
        assemblenet_plus_plus_50,
        assemblenet_plus_plus_50_authors,
        assemblenet_50,
        assemblenet_101,
        assemblenet_plus_plus_lite,
        two_stream_r2plus1d_50,
        slowfast_50,
    )
}


def load_architecture(name_or_path: str) -> Architecture:
    """Returns a network of the zoo, or reads an architecture file.

    Args:
      name_or_path: a key of ZOO, or a path that ends in .json, also of a file that comes with the package: an
        architecture file, or the authors' lists (see `formats.from_json`).

    Raises:
      UserError: neither; the message names the nearest right name.
    """
    if name_or_path in ZOO:
        return ZOO[name_or_path]()
    if name_or_path.endswith(".json"):
        return read_architecture(located(name_or_path))
    raise UserError(
        "An architecture is a name of the zoo or a .json file. "
        f"Received: {name_or_path!r}. {nearest(name_or_path, ZOO)}"
    )
