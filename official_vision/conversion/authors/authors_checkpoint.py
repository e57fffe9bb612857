"""Converts a checkpoint of the authors' code to a network of this package."""

from __future__ import annotations

import dataclasses
from typing import Any

from official_vision.architecture.graph import Architecture
from official_vision.architecture.plan import NodePlan, make_plan
from official_vision.conversion.authors.mapping import load
from official_vision.conversion.authors.params import Params, find_params
from official_vision.conversion.authors.structure import UnreadStem, architecture_of
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
from official_vision.modeling.ops.convolution import BATCH_NORM_EPSILON
from official_vision.specs import ModelSpec

_PEER = (
    "Peer attention cannot be converted exactly. Received: {path}, trained with it. In the port the weights h of a "
    "gate's peers are random constants that are in no checkpoint; in both of the authors' programs the maps of "
    "candidates are shared by a block's connections and have biases. Train with self attention, which converts."
)


def convert(path: str, options: Options) -> Converted:
    """Converts a checkpoint of the Model Garden port or of the TensorFlow 1 code.

    Args:
      path: its prefix.
      options: see ConversionOptions; the structure comes from it or from the run's params.yaml.

    Returns:
      The network that computes what the authors' computes: gates, pooling of frames and the scale of rgb as
      in their code.

    Raises:
      UserError: a damaged or foreign checkpoint, another network's structure, or what cannot be converted
        (peer attention, concatenation of inputs, the -lite network), with the reason.
    """
    params = find_params(path, options.params)
    weights = StoredWeights(path, averaged=options.averaged)
    _refuse_other_networks(weights, params)
    architecture, unread = architecture_of(weights, options.structure, params, options.depth)
    plans = make_plan(architecture, options.spec.with_numbers().num_object_classes)
    code = _code(weights, params, plans, unread)
    classes = _classes(weights)
    spec, notes = (options.spec, []) if params else _without_params(options.spec, code, plans)
    fixed = _fixed(architecture, code, params, options.num_classes or classes)
    spec = with_fixed(spec, fixed, path)
    model = build_model(spec, architecture)
    epsilon = params.norm_epsilon if params else BATCH_NORM_EPSILON
    coverage = load(model, weights, code, classes, epsilon)
    coverage = dataclasses.replace(coverage, notes=(*notes, *coverage.notes))
    return Converted(architecture, spec, model, coverage, options.labels)


def _refuse_other_networks(weights: StoredWeights, params: Params | None) -> None:
    if weights.has_peers or (params and params.attention == "peer"):
        raise UserError(_PEER.format(path=weights.path))
    if params and params.combines != "sigmoid":
        raise UserError(
            "Inputs of a block are summed here, as published. Received: "
            f"{params.path}, whose combine_method is {params.combines}. Such a network cannot be converted."
        )


def _classes(weights: StoredWeights) -> int:
    """Returns the classes of the classifier, which is the last dense layer that the authors' programs make."""
    shapes = [layer.shapes.get("kernel", ()) for layer in weights.in_order(DENSE)]
    if not shapes or len(shapes[-1]) != 2:
        raise UserError(
            f"The checkpoint must hold a classifier. Received: {weights.path}, which has none. Name a whole model's."
        )
    return shapes[-1][1]


def _without_params(
    spec: ModelSpec, code: Code, plans: tuple[NodePlan, ...]
) -> tuple[ModelSpec, list[str]]:
    """Returns the settings that are assumed without a params.yaml, and notes on them."""
    notes = [
        "no params.yaml: frames are pooled by ModelSpec.frame_pooling, by default by the mean of their features; "
        "the port's max_pool_predictions is 'softmax_logits'"
    ]
    if code.gates == UNGATED and _looks_like_plus(plans):
        notes.append(
            "taken for AssembleNet's (assemblenet.py of the port); of AssembleNet++ with attention off, which "
            "drops connections, give --params"
        )
    if spec.frame_pooling == ModelSpec().frame_pooling:
        spec = dataclasses.replace(spec, frame_pooling="mean")
    return spec, notes


def _fixed(
    architecture: Architecture, code: Code, params: Params | None, classes: int
) -> dict[str, Any]:
    """Returns the settings of the model that the authors' code, or the run, decides."""
    fixed: dict[str, Any] = {
        "gate": "none" if code.gates == UNGATED else "self",
        "num_classes": classes,
        "rgb_mean": 0.5 if params and params.is_zero_centred else 0.0,
        "rgb_deviation": 0.5 if params and params.is_zero_centred else 1.0,
    }
    if "flow" in architecture.streams:
        fixed |= {
            "flow_source": "computed",
            "flow_border": "authors",
            "flow_stretch": "batch",
            "flow_iterations": 40,
        }
    if params:
        fixed["frame_pooling"] = "softmax_logits" if params.pools_by_softmax else "mean"
        fixed["activation"] = "sigmoid" if params.is_multilabel else "softmax"
    return fixed


def _code(
    weights: StoredWeights,
    params: Params | None,
    plans: tuple[NodePlan, ...],
    unread: tuple[UnreadStem, ...],
) -> Code:
    """Recognises the authors' program that wrote a checkpoint, by params.yaml or the number of dense layers."""
    denses = sum(layer.kind == DENSE for layer in weights.layers)
    if params and not weights.has_scopes:
        gates = {"self": GATED, "off": SINGLE_GATED}[params.attention]
        is_plus = params.kind == "assemblenet_plus"
        return Code(False, gates if is_plus else UNGATED, is_plus, unread)
    known = [
        Code(weights.has_scopes, UNGATED, False, unread),
        Code(weights.has_scopes, GATED, not weights.has_scopes, unread),
        *([] if weights.has_scopes else [Code(False, SINGLE_GATED, True, unread)]),
    ]
    fitting = [code for code in known if _denses(plans, code) == denses]
    if not fitting:
        peers = _denses(plans, known[1]) + _maps(plans, unread)
        if not weights.has_scopes and peers == denses:
            raise UserError(_PEER.format(path=weights.path))
        expected = " or ".join(str(_denses(plans, code)) for code in known)
        raise UserError(
            f"The structure must be the checkpoint's. Received: {weights.path}, which has {denses} dense layers, and "
            f"{expected} by the structure, without or with gates. Correct --structure."
        )
    return fitting[0]


def _looks_like_plus(plans: tuple[NodePlan, ...]) -> bool:
    """Returns whether AssembleNet++ with attention off has the same layers as AssembleNet, and other connections."""
    code = Code(False, SINGLE_GATED, True)
    return _denses(plans, code) == 1 and any(dropped_inputs(plan, code) for plan in plans)


def _denses(plans: tuple[NodePlan, ...], code: Code) -> int:
    """Returns a checkpoint's dense layers: gates, of TensorFlow 1 candidates' maps, and the classifier."""
    blocks = [plan for plan in plans if plan.fusion]
    if code.gates == UNGATED:
        return 1
    if code.gates == SINGLE_GATED:
        return 1 + sum(len(plan.fusion.inputs) == 1 for plan in blocks)
    gates = sum(len(plan.fusion.inputs) - len(dropped_inputs(plan, code)) for plan in blocks)
    return 1 + gates + (_maps(plans, code.unread) if code.has_scopes else 0)


def _maps(plans: tuple[NodePlan, ...], unread: tuple[UnreadStem, ...]) -> int:
    """Returns the maps of candidate peers, which are made for every block."""
    return sum(len(plan.candidates) + len(unread) for plan in plans if plan.fusion)
