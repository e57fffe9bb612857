"""All settings of users, as frozen dataclasses that check themselves.

The classes are plain Python: `ModelSpec(depth=26)` works anywhere. `config.py` lets gin build them.
"""

from official_vision.specs.data import DataSpec
from official_vision.specs.evaluation import EvaluationSpec
from official_vision.specs.evolution import EvolutionSpec
from official_vision.specs.model import ModelSpec
from official_vision.specs.optimization import LossSpec, OptimizerSpec
from official_vision.specs.preparation import PrepareSpec
from official_vision.specs.search import ConnectivitySpec, SearchSpec
from official_vision.specs.spec import Spec
from official_vision.specs.training import TrainSpec

# Those that gin files set, in the order of a run: the data, the network, its training, searches.
ALL = (
    PrepareSpec,
    DataSpec,
    ModelSpec,
    TrainSpec,
    LossSpec,
    OptimizerSpec,
    EvaluationSpec,
    ConnectivitySpec,
    SearchSpec,
    EvolutionSpec,
)

__all__ = [
    "ALL",
    "ConnectivitySpec",
    "DataSpec",
    "EvaluationSpec",
    "EvolutionSpec",
    "LossSpec",
    "ModelSpec",
    "OptimizerSpec",
    "PrepareSpec",
    "SearchSpec",
    "Spec",
    "TrainSpec",
]
