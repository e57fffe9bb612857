"""The backends that train an evolution's graphs: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import ModuleType

from official_vision.errors import UserError, reason_of
from official_vision.processes.addresses import check_listening, is_address
from official_vision.processes.pool import Workers
from official_vision.search.evolution.evolve import Candidate, Evaluator, Outcome
from official_vision.specs import EvolutionSpec, TrainSpec
from official_vision.training.devices.gpu_shares import gpus_per_ray_task

Evaluate = Callable[[Candidate], Outcome]
# TensorFlow keeps some memory of every network: a process is replaced after so many.
_GRAPHS_A_PROCESS = 20
_KNOCK_SECONDS = 10
_RETRIES = 5  # of a graph whose Ray node is lost


@contextlib.contextmanager
def evaluator_of(spec: EvolutionSpec, train: TrainSpec, evaluate: Evaluate) -> Iterator[Evaluator]:
    """Opens the backend that `spec.backend` names.

    Args:
      spec: backend, address and how many graphs are evaluated at once.
      train: its devices and strategy are read: graphs that are evaluated at once share the GPUs.
      evaluate: pickled and called there.

    Raises:
      UserError: Ray is not installed, or its cluster can't be reached.
    """
    if spec.backend == "ray":
        with contextlib.closing(_Ray(spec, train, evaluate)) as cluster:
            yield cluster
        return
    # Read by TensorFlow when a process imports it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with Workers(evaluate, spec.at_once, _GRAPHS_A_PROCESS) as processes:
        yield processes


class _Ray:
    """Evaluates graphs as tasks of a Ray cluster; a graph whose node is lost is evaluated again on another."""

    def __init__(self, spec: EvolutionSpec, train: TrainSpec, evaluate: Evaluate):
        try:
            import ray
        except ImportError:
            raise UserError(
                "EvolutionSpec.backend = 'ray' needs Ray. Received: an installation without it. "
                "Run pip install 'official-vision[ray]', or use backend 'processes'."
            ) from None
        self._ray = ray
        self._begun = not ray.is_initialized()
        if self._begun:
            _join(ray, spec.ray_address)
        # Ray's log lines would interleave with ours; those of a graph are in its folder.
        gpus = gpus_per_ray_task(train, ray.cluster_resources().get("GPU", 0), spec.at_once)
        self._task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=_RETRIES)(_call)
        self._evaluate = ray.put(evaluate)

    def submit(self, candidate: Candidate) -> Future[Outcome]:
        """Begins an evaluation; see `Evaluator`."""
        return self._task.remote(self._evaluate, candidate).future()

    def close(self) -> None:
        """Leaves the cluster, if this search joined it."""
        if self._begun:
            self._ray.shutdown()


def _knock(address: str) -> None:
    """Raises an OSError where no server listens: Ray would try for eight minutes."""
    address = address.removeprefix("ray://")
    if is_address(address):
        check_listening(address, _KNOCK_SECONDS)


def _call(evaluate: Evaluate, candidate: Candidate) -> Outcome:
    return evaluate(candidate)  # Ray runs functions, and `evaluate` may be any callable


def _join(ray: ModuleType, address: str) -> None:
    try:
        _knock(address)
        ray.init(
            address=address or None,
            include_dashboard=False if not address else None,
            log_to_driver=False,
            logging_level="ERROR",
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"A Ray cluster must be reachable. Received: EvolutionSpec.ray_address = {address!r} "
            f"({reason_of(error)}). Start it with ray start --head, or leave the address empty."
        ) from error
