"""A checkpoint of the authors' code -> a network of this package."""

from __future__ import annotations

import dataclasses
from typing import Any

from official_vision.architecture.graph import Architecture
from official_vision.architecture.plan import NodePlan, make_plan
from official_vision.conversion.authors.mapping import load
from official_vision.conversion.authors.params import Params, find_params
from official_vision.conversion.authors.structure import architecture_of
from official_vision.conversion.authors.variables import DENSE, StoredWeights
from official_vision.conversion.authors.walk import (
    GATED,
    SINGLE_GATED,
    UNGATED,
    Code,
    dropped_inputs,
)
from official_vision.conversion.converted import Converted, Options, with_fixed
from official_vision.errors import UserError
from official_vision.modeling.builder import build_model
from official_vision.modeling.convolution import BATCH_NORM_EPSILON

_PEER = (
    "Peer attention cannot be converted exactly. Received: {path}, trained with it. In the port the weights h of a "
    "gate's peers are random constants that no checkpoint holds; in both of the authors' programs the maps of "
    "candidates are shared by a block's connections and have biases. Train with self attention, or convert from "
    "--params of such a run."
)


def convert(path: str, options: Options) -> Converted:
    """Converts a checkpoint of the Model Garden port or of the TensorFlow 1 code.

    Args:
      path: its prefix.
      options: see there; the structure comes from it or from the run's params.yaml.

    Returns:
      The network that computes what theirs computes: gates, pooling of frames and the scale of rgb as
      theirs.

    Raises:
      UserError: a damaged or foreign checkpoint, another network's structure, or what cannot be converted
        (peer attention, concatenation of inputs, the -lite network), with the reason.
    """
    params = find_params(path, options.params)
    weights = StoredWeights(path, averaged=options.averaged)
    if params and params.combines == "concat":
        raise UserError(
            "Inputs of a block are summed here, as published. Received: "
            f"{params.path}, whose combine_method is concat. Such a network cannot be converted."
        )
    architecture = architecture_of(weights, options.structure, params, options.depth)
    plans = make_plan(architecture, options.spec.num_object_classes)
    code = _code(weights, params, plans)
    (*_, classifier) = weights.in_order(DENSE)
    classes = classifier.shapes.get("kernel", (0, 0))[-1]
    spec, notes = options.spec, []
    if not params:
        notes.append(
            "no params.yaml: frames are pooled by ModelSpec.frame_pooling, by default by the mean of their features; "
            "the port's max_pool_predictions is 'softmax_logits'"
        )
        if spec.frame_pooling == "max":
            spec = dataclasses.replace(spec, frame_pooling="mean")
    fixed = _fixed(architecture, code, params, options.num_classes or classes)
    spec = with_fixed(spec, fixed, path)
    model = build_model(spec, architecture)
    epsilon = params.norm_epsilon if params else BATCH_NORM_EPSILON
    coverage = load(model, weights, code, classes, epsilon)
    coverage = dataclasses.replace(coverage, notes=(*notes, *coverage.notes))
    return Converted(architecture, spec, model, coverage, options.labels)


def _fixed(
    architecture: Architecture, code: Code, params: Params | None, classes: int
) -> dict[str, Any]:
    """Settings of the model that the authors' code, or the run, decides."""
    fixed: dict[str, Any] = {
        "gate": "none" if code.gates == UNGATED else "self",
        "num_classes": classes,
        "rgb_mean": 0.5 if params and params.is_zero_centred else 0.0,
        "rgb_deviation": 0.5 if params and params.is_zero_centred else 1.0,
    }
    if "flow" in architecture.streams:
        fixed |= {"flow_source": "computed", "flow_border": "authors", "flow_iterations": 40}
    if params:
        fixed["frame_pooling"] = "softmax_logits" if params.pools_by_softmax else "mean"
        fixed["activation"] = "sigmoid" if params.is_multilabel else "softmax"
    return fixed


def _code(weights: StoredWeights, params: Params | None, plans: tuple[NodePlan, ...]) -> Code:
    """Which of the authors' programs wrote a checkpoint: by params.yaml, else by the number of dense layers."""
    denses = sum(layer.kind == DENSE for layer in weights.layers)
    if weights.has_peers or (params and params.attention == "peer"):
        raise UserError(_PEER.format(path=weights.path))
    if params and not weights.has_scopes:
        gates = {"self": GATED, "off": SINGLE_GATED}[params.attention]
        is_plus = params.kind == "assemblenet_plus"
        return Code(False, gates if is_plus else UNGATED, is_plus)
    known = [
        Code(weights.has_scopes, UNGATED, False),
        Code(weights.has_scopes, GATED, not weights.has_scopes),
        *([] if weights.has_scopes else [Code(False, SINGLE_GATED, True)]),
    ]
    fitting = [code for code in known if _denses(plans, code) == denses]
    if not fitting:
        maps = sum(len(plan.candidates) for plan in plans if plan.fusion)
        if not weights.has_scopes and _denses(plans, known[1]) + maps == denses:
            raise UserError(_PEER.format(path=weights.path))
        expected = " or ".join(str(_denses(plans, code)) for code in known)
        raise UserError(
            f"The structure must be the checkpoint's. Received: {weights.path}, which has {denses} dense layers, and "
            f"{expected} by the structure, without or with gates. Correct --structure."
        )
    if len({(code.drops and _drops(plans, code)) for code in fitting}) > 1:
        raise UserError(
            f"The authors' two programs fuse this structure differently. Received: {weights.path}, which may be of "
            "either. Give the run's --params."
        )
    return fitting[0]


def _drops(plans: tuple[NodePlan, ...], code: Code) -> int:
    return sum(len(dropped_inputs(plan, code)) for plan in plans)


def _denses(plans: tuple[NodePlan, ...], code: Code) -> int:
    """Dense layers that a checkpoint holds: gates, in TensorFlow 1 candidates' maps, and the classifier."""
    blocks = [plan for plan in plans if plan.fusion]
    if code.gates == UNGATED:
        return 1
    if code.gates == SINGLE_GATED:
        return 1 + sum(len(plan.fusion.inputs) == 1 for plan in blocks)
    gates = sum(len(plan.fusion.inputs) - len(dropped_inputs(plan, code)) for plan in blocks)
    maps = sum(len(plan.candidates) for plan in blocks) if code.has_scopes else 0
    return 1 + gates + maps
