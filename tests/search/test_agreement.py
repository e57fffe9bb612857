"""Agreement by hand: kept connections by the numbers of the over-connected network, peers, chance."""

import dataclasses
import random

import pytest

from official_vision.architecture.connections.derive import derive
from official_vision.architecture.formats import save_architecture
from official_vision.errors import UserError
from official_vision.search.agreement import agreements, compare, describe_agreement, read_derived
from official_vision.search.space import one_shot_space
from tests.modeling import small

SPACE = one_shot_space(small.architecture())  # inputs 3: 0 1 2, 4: 0 to 3, 5: 0 to 4, 6: 0 to 5
COUNT = 3 + 4 + 5 + 6
CANDIDATES = {3: 3, 4: 4, 5: 5, 6: 6}


def write(folder, connections, peer=0, graph=SPACE):
    """A search that kept some connections, all with one peer."""
    strengths = {
        i: [0.9 if (j, i) in connections else 0.1 for j in node.inputs]
        for i, node in enumerate(graph.nodes)
        if node.inputs
    }
    peers = {
        i: [[float(k == peer) for k in range(CANDIDATES[i])]] * len(graph.nodes[i].inputs)
        for i in strengths
    }
    folder.mkdir()
    save_architecture(graph, folder / "space.json")
    derived = derive(graph, strengths, peers, 0.5).architecture
    save_architecture(derived, folder / "derived.json")
    return folder


ONE = {(0, 3), (3, 5), (5, 6), (0, 6)}  # node 4 is gone: nodes 5 and 6 have other numbers
TWO = {(0, 3), (1, 3), (3, 5), (5, 6)}


def test_connections_have_the_numbers_of_the_space(tmp_path):
    assert set(read_derived(write(tmp_path / "one", ONE)).peers) == ONE
    assert set(read_derived(write(tmp_path / "two", TWO)).peers) == TWO


def test_by_hand(tmp_path):
    one, two = (
        read_derived(write(tmp_path / "one", ONE)),
        read_derived(write(tmp_path / "two", TWO)),
    )
    agreement = compare(one, two)
    assert agreement.jaccard == 3 / 5
    chance = 4 * 4 / COUNT
    assert agreement.jaccard_by_chance == pytest.approx(chance / (8 - chance))
    assert agreement.equal_peers == 1
    assert agreement.equal_peers_by_chance == pytest.approx((1 / 3 + 1 / 5 + 1 / 6) / 3)
    other = read_derived(write(tmp_path / "other", TWO, peer=1))
    assert compare(one, other).equal_peers == 0
    mixed = dataclasses.replace(other, peers={**other.peers, (0, 3): 0})
    assert compare(one, mixed).equal_peers == pytest.approx(1 / 3)
    assert compare(one, one).jaccard == 1


def test_chance_is_what_random_draws_give():
    """Against a simulation; both are close to, not the same as, the mean of a ratio."""
    draw = random.Random(0)
    pairs = [
        (set(draw.sample(range(40), 20)), set(draw.sample(range(40), 12))) for _ in range(3000)
    ]
    simulated = sum(len(a & b) / len(a | b) for a, b in pairs) / len(pairs)
    both = 20 * 12 / 40
    assert both / (32 - both) == pytest.approx(simulated, abs=0.01)


def test_all_pairs_are_reported(tmp_path):
    folders = [
        write(tmp_path / n, connections) for n, connections in (("a", ONE), ("b", TWO), ("c", ONE))
    ]
    assert [row.jaccard for row in agreements(folders)] == [0.6, 1.0, 0.6]
    text = describe_agreement(folders)
    assert len(text.splitlines()) == 1 + 3 + 2
    assert "connections: mean 0.733, 0.600 to 1.000 over 3 pairs" in text


def test_mistakes_are_one_line(tmp_path):
    one = write(tmp_path / "one", ONE)
    for folders, words in (
        ([one], "Name two or more"),
        ([one, tmp_path / "none"], "lacks space.json or derived.json"),
        (
            [one, write(tmp_path / "wider", ONE, graph=dataclasses.replace(SPACE, nodes=_wider()))],
            "whose space.json differ",
        ),
    ):
        with pytest.raises(UserError, match=words) as raised:
            agreements(folders)
        assert "\n" not in str(raised.value)


def _wider():
    return (dataclasses.replace(SPACE.nodes[0], channels=8), *SPACE.nodes[1:])
