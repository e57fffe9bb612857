"""GPUs of processes that train at the same time."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.specs import TrainSpec
from official_vision.training.devices.gpu_shares import gpus_of_process, gpus_per_ray_task


@given(st.integers(1, 16), st.integers(1, 16))
def test_equal_shares_leave_no_gpu_idle_that_divides(gpus, processes):
    shares = [gpus_of_process(TrainSpec(), gpus, number, processes) for number in range(processes)]
    used = Counter(gpu for share in shares for gpu in share)
    assert len({len(share) for share in shares}) == 1
    assert len(used) == (gpus // processes * processes if gpus >= processes else gpus)
    # As even as whole GPUs can be.
    assert max(used.values()) - min(used.values()) <= 1


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        ({"devices": 2}, [[0, 1], [2, 3], [0, 1]]),
        ({"devices": 8}, [[0, 1, 2, 3]] * 3),
        ({"devices": "cpu"}, [[], [], []]),
        ({"strategy": "one_device"}, [[0], [1], [2]]),
    ],
)
def test_settings_decide_the_share(settings, shares):
    assert [gpus_of_process(TrainSpec(**settings), 4, n, 3) for n in range(3)] == shares


@pytest.mark.parametrize(
    ("settings", "gpus", "tasks", "each"),
    [
        ({}, 0, 3, 0),
        ({}, 8, 3, 2),
        ({}, 3, 3, 1),
        ({}, 2, 3, 0.6666),
        ({"strategy": "one_device"}, 1, 4, 0.25),
        ({"devices": 2}, 8, 16, 2),
        ({"devices": "cpu"}, 1, 4, 0),
    ],
)
def test_tasks_of_a_cluster_fit_its_gpus(settings, gpus, tasks, each):
    assert gpus_per_ray_task(TrainSpec(**settings), gpus, tasks) == each
