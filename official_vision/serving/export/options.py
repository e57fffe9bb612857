"""The settings of an export, and how near each format must be to the network."""

from __future__ import annotations

import dataclasses

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
    onnx: bool = False
    stablehlo: bool = False
    clips: int = 8
    limit: float | None = None
    threads: int = 1
    compiled_flow: bool = False
    feature_nodes: tuple[int, ...] = ()

    def limit_of(self, format_name: str) -> float:
        """Returns the largest difference that a format may have."""
        return LIMITS[format_name] if self.limit is None else self.limit
