"""What a phone's GPU would not compute of a TFLite file.

TFLite's GPU delegate gives the CPU each operation that it lacks, and takes one stretch of the rest. So what matters
is whether an operation that it lacks lies between two that it has: the CPU then computes one side too.
TensorFlow's Analyzer has a check of the same name, but its released builds find every file compatible; these rules
are those of the delegate's documentation and source, in short.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

from ai_edge_litert import schema_py_generated as schema

_MOST_RANK = 4
# Operations of floats that the delegate has for all that the converter writes of them.
_NAMES = """
    ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTHWISE_CONV_2D
    DEPTH_TO_SPACE DEQUANTIZE DIV ELU EQUAL EXP FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GELU GREATER
    GREATER_EQUAL HARD_SWISH LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM
    MUL NEG NOT_EQUAL ONE_HOT PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6
    RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SELECT SELECT_V2 SIGN SIN SLICE SOFTMAX
    SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE
    TRANSPOSE_CONV
"""
_KINDS = frozenset(_NAMES.split())
_OF_3_OR_4_AXES = ("SLICE", "STRIDED_SLICE", "PAD", "PADV2")
_MASKS = ("ellipsisMask", "newAxisMask", "shrinkAxisMask")
_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items()}
_TYPES = {value: name for name, value in vars(schema.TensorType).items()}
_VALUES = ("FLOAT32", "FLOAT16", "BOOL")


@dataclasses.dataclass(frozen=True)
class GpuReport:
    """What a mobile GPU computes of a file, and what it leaves to the CPU.

    Attributes:
      operations: of the file that compute with its inputs.
      at_the_inputs: those of them that the CPU computes first, each "KIND: reason" with their number.
      in_between: the same of those behind an operation of the GPU's: it computes only one stretch between them.
    """

    operations: int
    at_the_inputs: dict[str, int]
    in_between: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON values."""
        return dataclasses.asdict(self)

    def to_text(self) -> str:
        """Returns one line for people."""
        listed = ", ".join(f"{count} {reason}" for reason, count in self.in_between.items())
        return f"a mobile GPU computes one stretch of it, for it lacks {listed}"


def report_of(content: bytes, signature: str | None = None) -> GpuReport:
    """Reads the operations and tensors of a file, or of one of its signatures.

    Args:
      content: of a TFLite file.
      signature: to read; None for the only one of a file.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    counts: tuple[collections.Counter, collections.Counter] = (
        collections.Counter(),
        collections.Counter(),
    )
    operations = 0
    # A signature's graph calls others in loops alone, and a loop itself is refused.
    graph = model.subgraphs[_graph_of(model, signature)]
    fed = set(graph.inputs)  # tensors that depend on the inputs
    on_gpu: set[int] = (
        set()
    )  # those of them that come from a GPU's operation, or from one behind it
    for operation in graph.operators:
        inputs = [number for number in operation.inputs if number >= 0]
        if not fed & set(inputs):
            continue  # of constants alone, as float16 weights becoming floats
        operations += 1
        fed |= set(operation.outputs)
        behind = bool(on_gpu & set(inputs))
        reason = _refusal(model, graph, operation, fed)
        if reason:
            counts[behind][reason] += 1
        if behind or not reason:
            on_gpu |= set(operation.outputs)
    return GpuReport(operations, *(dict(sorted(each.items())) for each in counts))


def _graph_of(model: Any, signature: str | None) -> int:
    """Returns the number of a signature's graph."""
    if signature is None:
        return 0
    graphs = {each.signatureKey.decode(): each.subgraphIndex for each in model.signatureDefs}
    return graphs[signature]


def _refusal(model: Any, graph: Any, operation: Any, fed: set[int]) -> str:
    """Returns "KIND: reason"; empty for an operation that the GPU has."""
    code = model.operatorCodes[operation.opcodeIndex]
    # Codes from 127 on lie in the newer of the two fields.
    kind = _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
    if kind not in _KINDS:
        return f"{kind}: no such operation"
    numbers = [n for n in (*operation.inputs, *operation.outputs) if n in fed]
    tensors = [graph.tensors[number] for number in numbers]
    for tensor in tensors:
        if tensor.shapeSignature is not None and min(tensor.shapeSignature, default=0) < 0:
            return f"{kind}: an axis without a size"
        if _rank(tensor) > _MOST_RANK:
            return f"{kind}: {_rank(tensor)} axes"
        if not _is_of_numbers(tensor):
            return f"{kind}: {_TYPES[tensor.type].lower()}"
    return _refused_form(kind, operation, tensors[0])


def _refused_form(kind: str, operation: Any, tensor: Any) -> str:
    options = operation.builtinOptions
    if kind == "STRIDED_SLICE" and any(getattr(options, mask) for mask in _MASKS):
        return f"{kind}: adds or drops axes"
    if kind in _OF_3_OR_4_AXES and _rank(tensor) < 3:
        return f"{kind}: {_rank(tensor)} axes"
    return ""


def _rank(tensor: Any) -> int:
    return 0 if tensor.shape is None else len(tensor.shape)


def _is_of_numbers(tensor: Any) -> bool:
    """Returns whether the values are floats, or 8 bits that stand for floats."""
    quantised = tensor.quantization is not None and tensor.quantization.scale is not None
    return _TYPES[tensor.type] in _VALUES or (_TYPES[tensor.type] == "INT8" and quantised)
