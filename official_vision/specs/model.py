"""Settings of the network."""

from __future__ import annotations

import dataclasses

from official_vision.errors import UserError
from official_vision.specs.spec import Spec, setting

# Classes of the published networks, for networks that are built without data.
CHARADES_CLASSES = 157
ADE20K_IDS = 151  # 150 and "none"


@dataclasses.dataclass(frozen=True)
class ModelSpec(Spec):
    """The network: its graph, width and depth, and how connections are gated.

    Attributes:
      architecture: a name from the zoo (architecture/zoo.py) or the path of an architecture JSON file.
      depth: residual modules per level, by the usual names 26 to 101; None keeps the architecture's.
      width_multiplier: scales every convolution's channels; 1 is the paper's network, None keeps the
        architecture's (a derived one has the width of the network that it comes from).
      gate: the kind of gate that scales a connection's channels (AssembleNet++, arXiv 2008.08072): none, static, self
        or peer. With peer, blocks whose architecture names chosen peers get discrete gates, others one-shot gates.
      num_classes: classes to predict; None takes the data set's, and 157 (Charades) where there is no data.
      num_object_classes: ids of the object stream, 0 to this less 1; None takes the data set's, and 151 (ADE20K
        with "none") where there is no data.
      frame_pooling: how per-frame logits become the clip's (A.3 takes the maximum): max, mean (of
        features), softmax (weights learned over frames) or softmax_logits (each class's logits weighted by a
        softmax over frames of logits / sqrt(frames), as max_pool_predictions in the authors' code).
      activation: sigmoid for several labels per clip or none, softmax for exactly one; None takes softmax where
        every training clip has exactly one label, else sigmoid, also where there is no data.
      flow_source: stored (the flow stream of the data) or computed (from rgb, inside the model).
      flow_iterations: TV-L1 iterations of the computed flow (Piergiovanni & Ryoo 2019).
      flow_compiled: XLA compiles the computed flow, which then takes a third of the time; False where
        TensorFlow has no XLA.
      flow_border: authors, or textbook (TV-L1's usual border), of the computed flow; they differ in the last
        rows and columns.
      flow_stretch: range of grey values from which frames are stretched for computed flow: clip
        (each clip's), or batch (the whole batch's, as in the authors' code; evaluation and exported files
        take each clip's nevertheless, so that scores don't depend on the other clips of a batch).
      rgb_mean: subtracted from rgb / 255; one number, or three for red, green and blue. 0.45 is PySlowFast's for
        Kinetics; the authors' code has 0.
      rgb_deviation: rgb / 255 - rgb_mean is divided by it; likewise 0.225, and 1 in the authors' code.
      dropout_rate: dropout rate of the features before the classifier, 0 to 1.
      plain_tensorflow: everything is computed by TensorFlow's operations, without the quicker ones for CPUs and
        without XLA's flow; results are the same up to rounding. On GPUs and TPUs it is so anyway.
    """

    architecture: str = "assemblenet_plus_plus_50"
    depth: int | None = setting(None, low=1)
    width_multiplier: float | None = setting(None, above=0)
    gate: str = setting("peer", choices=("none", "static", "self", "peer"))
    num_classes: int | None = setting(None, low=1)
    num_object_classes: int | None = setting(None, low=1, high=255)
    frame_pooling: str = setting("max", choices=("max", "mean", "softmax", "softmax_logits"))
    activation: str | None = setting(None, choices=("sigmoid", "softmax"))
    flow_source: str = setting("stored", choices=("stored", "computed"))
    flow_iterations: int = setting(40, low=1)
    flow_compiled: bool = True
    flow_border: str = setting("authors", choices=("authors", "textbook"))
    flow_stretch: str = setting("clip", choices=("clip", "batch"))
    rgb_mean: float | tuple[float, ...] = setting(0.45, low=0, high=1)
    rgb_deviation: float | tuple[float, ...] = setting(0.225, above=0)
    dropout_rate: float = setting(0.5, low=0, high=0.99)
    plain_tensorflow: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rgb_mean", "rgb_deviation"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != 3:
                raise UserError(
                    f"ModelSpec.{name} is one number, or three for red, green and blue. Received: {value!r}."
                )

    def with_numbers(
        self,
        num_classes: int = CHARADES_CLASSES,
        num_object_classes: int = ADE20K_IDS,
        activation: str = "sigmoid",
    ) -> ModelSpec:
        """Returns the settings with these values in place of those that are None.

        Args:
          num_classes: of the data set; by default that of the published networks.
          num_object_classes: likewise.
          activation: that suits the labels.
        """
        wanted = {
            "num_classes": num_classes,
            "num_object_classes": num_object_classes,
            "activation": activation,
        }
        unset = {name: value for name, value in wanted.items() if getattr(self, name) is None}
        return dataclasses.replace(self, **unset) if unset else self
