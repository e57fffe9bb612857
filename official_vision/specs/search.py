"""Settings of the search for a network's connections and peers."""

from __future__ import annotations

import dataclasses

from official_vision.specs.spec import Spec, setting


@dataclasses.dataclass(frozen=True)
class ConnectivitySpec(Spec):
    """Learning of connection strengths w and peer logits h, in any run that trains them.

    Attributes:
      updates: joint (one loss moves all weights) or bilevel (DARTS, Liu et al. 2019, first order: half
        of the training records moves the network's weights, the other half w and h, both in each
        step from the same point; a step then takes two batches).
      peer_entropy_weight: weight of a term that sharpens peers: the mean over connections of the entropy of
        softmax(h) as a share of the even choice's.
      strength_entropy_weight: weight of a term that drives strengths to 0 or 1: the mean over connections of
        the entropy of sigmoid(w) in bits.
      entropy_start_step: step from which both entropy terms count.
      entropy_ramp_steps: steps in which they then grow to their full weight; 0 for at once.
      cost_weight: weight of the expected cost of all connections, 1.0 being that of all at full strength.
      cost: measure of a connection's cost: flops (pool, scaling, 1x1 convolution and gate) or latency (the
        first three, timed once on the training machine at the start and stored in the run's folder).
    """

    updates: str = setting("joint", choices=("joint", "bilevel"))
    peer_entropy_weight: float = setting(0.0, low=0)
    strength_entropy_weight: float = setting(0.0, low=0)
    entropy_start_step: int = setting(0, low=0)
    entropy_ramp_steps: int = setting(0, low=0)
    cost_weight: float = setting(0.0, low=0)
    cost: str = setting("flops", choices=("flops", "latency"))

    @property
    def has_terms(self) -> bool:
        """Returns whether any term is added to the loss."""
        return any((self.peer_entropy_weight, self.strength_entropy_weight, self.cost_weight))


@dataclasses.dataclass(frozen=True)
class SearchSpec(Spec):
    """A search from the first step to a trained discrete network (official-vision search).

    It trains in folders below `output`; TrainSpec.model_dir has no effect.

    Attributes:
      method: one_shot (AssembleNet++, A.2: one over-connected network learns w and h) or evolution
        (AssembleNet: many graphs, each trained for TrainSpec.steps; EvolutionSpec has its settings, and of
        those below only output counts).
      output: folder of the search.
      candidates: connections that one-shot begins with: all (every earlier node into every block, as
        far as levels and resolutions allow), lower (nodes of lower levels, as in the published
        networks), own (those of ModelSpec.architecture) or file:PATH (JSON, block to list of inputs;
        blocks that it doesn't name keep their inputs).
      checkpoint: checkpoint of the one-shot run that is made discrete: latest (the most decided one) or best.
      threshold: connections weaker than this are dropped; a block keeps its strongest.
      keep_share: share of all connections to keep, strongest first, in place of `threshold`; None
        leaves it to the threshold.
      curve_shares: shares of connections at which the network is evaluated besides, discrete and not
        trained again: accuracy against kept connections. Each takes as long as an evaluation.
      retrain_weights: inherited (from the one-shot network) or fresh (as the search began).
      retrain_steps: steps of training the discrete network.
      retrain_learning_rate: learning rate of that training; None is OptimizerSpec.learning_rate. Where strengths have
        a separate rate (scope architecture/), it changes by the same factor.
      retrain_warmup_steps: warm-up steps of that training.
      retrain_width: ModelSpec.width_multiplier of the discrete network, whose weights are then fresh; None leaves it.
      retrain_teacher: whether the one-shot network teaches the discrete one by its scores, as LossSpec.teacher_weight
        and teacher_temperature set it.
    """

    method: str = setting("one_shot", choices=("one_shot", "evolution"))
    output: str = ""
    candidates: str = setting("all", choices=("all", "lower", "own", "file:PATH"))
    checkpoint: str = setting("latest", choices=("latest", "best"))
    threshold: float = setting(0.3, low=0, high=1)
    keep_share: float | None = setting(None, above=0, high=1)
    curve_shares: tuple[float, ...] = setting((), above=0, high=1)
    retrain_weights: str = setting("inherited", choices=("inherited", "fresh"))
    retrain_steps: int = setting(200, low=1)
    retrain_learning_rate: float | None = setting(None, above=0)
    retrain_warmup_steps: int = setting(0, low=0)
    retrain_width: float | None = setting(None, above=0)
    retrain_teacher: bool = False
