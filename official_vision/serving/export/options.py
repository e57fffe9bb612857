"""The settings of an export, and how near each format must be to the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from official_vision.errors import UserError

# Largest difference of a score from the network's, of a SavedModel by its precision and of TFLite files.
# Of int8 it is a typical clip's: activations far out of the ranges' middle make single clips differ more.
LIMITS = {
    "float32": 1e-4,
    "onnx": 1e-4,
    "stablehlo": 1e-4,
    "bfloat16": 0.1,
    "float16": 0.02,
    "dynamic": 0.1,
    "int8": 0.2,
}
# The figure of parity that a limit holds for, where it is not the greatest difference.
MEASURES = {"int8": "typical_difference"}


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """The settings of an export.

    Attributes:
      precision: of the SavedModel, float32 or bfloat16.
      peers: discrete keeps each gate's most probable peer alone, all keeps the candidates, auto is
        discrete where that leaves all scores within the limit.
      threshold: connections of a discrete network that are weaker go, in [0, 1].
      tflite: formats of serving.tflite.FORMATS to write beside it.
      tflite_frames: numbers of frames per clip that each TFLite file takes, by a signature each where there are
        several; empty for that of evaluation.
      onnx: writes an ONNX file in float32 beside it.
      stablehlo: writes a StableHLO program in float32 beside it.
      clips: of the validation data, on which the files must agree with the network; int8 takes its
        ranges from as many others. They are those in the run's folder where it has as many.
      limit: largest difference of a score, of int8 in a typical clip; None takes the format's entry of
        LIMITS.
      threads: of TFLite's interpreter when it is timed.
      compiled_flow: XLA compiles the flow that the SavedModel computes; TF Serving then needs its flag
        --xla_cpu_compilation_enabled.
      feature_nodes: indices of nodes whose averages the SavedModel gives beside what its head reads.
    """

    precision: str = "float32"
    peers: str = "auto"
    threshold: float = 0.0
    tflite: tuple[str, ...] = ()
    tflite_frames: tuple[int, ...] = ()
    onnx: bool = False
    stablehlo: bool = False
    clips: int = 8
    limit: float | None = None
    threads: int = 1
    compiled_flow: bool = False
    feature_nodes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raises UserError for numbers of frames that no file can have."""
        rule = "tflite_frames must be different whole numbers from 1 of the frames of TFLite files"
        frames = self.tflite_frames
        if frames and not self.tflite:
            raise UserError(f"{rule}. Received: {frames}, but no tflite. Name a TFLite format.")
        if len(set(frames)) != len(frames) or not all(isinstance(n, int) and n > 0 for n in frames):
            raise UserError(f"{rule}. Received: {frames}. Change them.")

    def check_nodes(self, nodes: Collection[str]) -> None:
        """Refuses features of nodes that the exported network, whose indices are `nodes`, lacks.

        Raises:
          UserError: the first of them.
        """
        for node in self.feature_nodes:
            if str(node) not in nodes:
                raise UserError(
                    f"A feature node must be one of {', '.join(nodes)}, those of the exported network. "
                    f"Received: {node}. Name another."
                )

    def limit_of(self, format_name: str) -> float:
        """Returns the largest difference that a format may have."""
        return LIMITS[format_name] if self.limit is None else self.limit
