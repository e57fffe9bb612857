"""Discrete networks of one-shot networks: thresholds, refusals, and weights that compute the same."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.connections.connectivity import Learned
from official_vision.errors import UserError
from official_vision.search.discrete import (
    check_learned,
    emptied_blocks,
    make_discrete,
    threshold_of,
)
from official_vision.specs import SearchSpec
from official_vision.training.clip_scoring import Trained
from tests.modeling import small
from tests.training import runs

STRENGTHS = {3: (0.9, 0.2), 4: (0.6, 0.5, 0.1), 5: (0.3, 0.25)}


def learned(strengths=STRENGTHS, peers=None):
    return Learned(small.architecture(), strengths, peers or {}, {"step": 7})


def trained(**settings):
    model = small.network(small.architecture())
    config = runs.config(Path("data"), Path("run"), "small", **settings)
    return Trained(config, model, "run/ckpt-7", 7, tf.distribute.get_strategy())


@pytest.mark.parametrize(
    ("share", "threshold"),
    [(1.0, 0.1), (3 / 7, 0.5), (0.5, 0.3), (0.001, 0.9)],  # 7, 3, 4 and 1 of 7 strengths
)
def test_a_share_is_that_of_the_weakest_to_keep(share, threshold):
    assert threshold_of(learned(), SearchSpec(keep_share=share)) == threshold


def test_a_threshold_above_every_strength_is_refused():
    assert threshold_of(learned(), SearchSpec(threshold=0.9)) == 0.9
    with pytest.raises(UserError, match=r"Received: 0.95, and the strongest of 7 has 0.9000"):
        threshold_of(learned(), SearchSpec(threshold=0.95))


def test_blocks_that_keep_one_connection_for_want_of_a_strong_one():
    assert emptied_blocks(learned(), 0.5) == [5]
    assert emptied_blocks(learned(), 0.3) == []


@pytest.mark.parametrize(
    ("strengths", "peers", "is_refused"),
    [
        ({3: (0.51, 0.49)}, {}, True),
        ({3: (0.51, 0.47)}, {}, False),
        ({3: (0.5, 0.5)}, {3: ((1 / 3, 1 / 3, 1 / 3), (0.34, 0.33, 0.33))}, True),
        ({3: (0.5, 0.5)}, {3: ((1 / 3, 1 / 3, 1 / 3), (0.5, 0.3, 0.2))}, False),
        ({}, {}, True),
    ],
)
def test_what_was_not_learned_is_not_made_discrete(strengths, peers, is_refused):
    if not is_refused:
        check_learned(learned(strengths, peers))
        return
    with pytest.raises(UserError, match="must have learned strengths or peers") as raised:
        check_learned(learned(strengths, peers))
    assert "\n" not in str(raised.value)


def test_decided_gates_and_kept_connections_compute_the_same():
    one_shot = trained()
    for block in one_shot.model.blocks().values():
        for number, gate in enumerate(block.gates):
            chosen = number % len(gate.candidate_channels)
            gate.peer_logits.assign(60.0 * np.eye(len(gate.candidate_channels))[chosen])
    discrete = make_discrete(one_shot, SearchSpec(threshold=0.0), {"method": "one_shot"})
    clips = small.clips(2, 3, 32)
    before, after = one_shot.model(clips)["logits"], discrete.model(clips)["logits"]
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    assert np.ptp(before) > 1e-2
    assert discrete.architecture.is_discrete()
    assert discrete.architecture.nodes == discrete.model.architecture.nodes
    assert discrete.architecture.provenance["learned"] == {
        "checkpoint": "run/ckpt-7",
        "step": 7,
        "method": "one_shot",
    }


def test_batch_norms_get_the_statistics_of_the_smaller_network(tmp_path):
    runs.write_data(tmp_path)
    one_shot = trained()
    config = runs.config(tmp_path, tmp_path, "small", precise_batch_norm_batches=2)
    config = dataclasses.replace(
        config, model=dataclasses.replace(config.model, num_object_classes=small.OBJECTS)
    )
    plain = make_discrete(one_shot, SearchSpec(keep_share=0.6), {}).model
    precise = make_discrete(
        dataclasses.replace(one_shot, config=config), SearchSpec(keep_share=0.6), {}
    ).model
    for variable, other in zip(plain.variables, precise.variables, strict=True):
        is_statistic = "moving" in variable.name
        assert np.array_equal(variable, other) != is_statistic, variable.name
