"""Puts a residual network's weights into a network of this package, tensor by tensor where shapes agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf
import tf_keras

from official_vision.architecture.graph import Architecture, Stem
from official_vision.conversion.converted import Converted, Options
from official_vision.conversion.coverage import INFLATED, INITIAL, LOADED, Coverage, Skipped, Weight
from official_vision.conversion.residual.target import check_some_fit
from official_vision.conversion.residual.trunk import NORM, STEM, Convolution, Place, Trunk
from official_vision.modeling.builder import build_model
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops.convolution import TemporalConvolution
from official_vision.specs import ModelSpec

_PARTS = ("first", "middle", "last", "projection")
_NO_MODULE = "fewer modules in the file than here"
_WIDTHS = "widths differ from the file's"
_TIME = "frames of the kernel differ from the file's"
_ELSEWHERE = "no such layer in the file"
_CLASSES = "classifier of another number of classes or features"
_IDENTITY = "set to what changes nothing: the file's network has no such layer"
_CENTRE = "kernel of one frame at the centre of three, the others 0"
_COLOURS = "mean over the colours, for both directions of the flow"


def filled(
    path: str,
    options: Options,
    architecture: Architecture,
    spec: ModelSpec,
    trunk: Trunk,
    notes: tuple[str, ...],
    flow_scale: float = 1.0,
) -> Converted:
    """Builds a network with a file's weights where they agree.

    Args:
      path: the file, for messages.
      options: see there.
      architecture, spec: of the network.
      trunk: the file's network.
      notes: sentences for the report.
      flow_scale: as of `Filling`.

    Raises:
      UserError: nothing fits.
    """
    model = build_model(spec, architecture)
    coverage = Filling(model, trunk, flow_scale).fill()
    check_some_fit(coverage.weights, path, architecture.name)
    coverage = dataclasses.replace(coverage, notes=notes)
    return Converted(architecture, spec, model, coverage, options.labels)


@dataclasses.dataclass(frozen=True)
class _Slot:
    """A convolution of ours with the batch norm after it, and the matching one of the file."""

    convolution: tf_keras.layers.Layer
    norm: tf_keras.layers.Layer
    place: Place
    kind: str = ""  # of a stem: rgb or flow


class Filling:
    """The state of a conversion: the status of each variable, and the tensors that were used."""

    def __init__(self, model: AssembleNet, trunk: Trunk, flow_scale: float = 1.0):
        """Args:
        model: with the weights of a new network, which it loses.
        trunk: of the file.
        flow_scale: the deviation of rgb as the file's network reads it, over flow's that is equally strong.
        """
        self._model = model
        self._trunk = trunk
        self._flow_scale = flow_scale
        self._outcomes: dict = {}  # a variable's reference -> (status, sources, reason)
        self._taken: set[str] = set()

    def fill(self) -> Coverage:
        """Loads what agrees and reports on every variable and tensor."""
        for index in self._model.node_layers:
            slots = list(self._slots(int(index)))
            pathway = self._best_pathway(slots)
            for slot in slots:
                self._take(slot, pathway)
            self._neutral_temporal(self._model.node_layers[index])
        self._classifier()
        weights = [self._weight(variable) for variable in self._model.weights]
        # Nodes by number, then what follows them: Keras has them in the order of their names as text.
        weights.sort(key=lambda weight: (not weight.node.startswith("node_"), weight.node))
        return Coverage(tuple(weights), (*self._left(), *self._trunk.skipped))

    def _slots(self, index: int) -> Iterator[_Slot]:
        node = self._model.architecture.nodes[index]
        layer = self._model.node_layers[str(index)]
        if isinstance(node, Stem):
            if node.kind != "object":
                yield _Slot(layer.spatial, layer.spatial_norm, Place(0, 0, STEM), node.kind)
            return
        for position, module in enumerate(layer.modules):
            for part in _PARTS:
                if part != "projection" or module.projects:
                    norm = getattr(module, f"{part}_norm")
                    yield _Slot(getattr(module, part), norm, Place(node.level, position, part))

    def _best_pathway(self, slots: list[_Slot]) -> int:
        """Returns the pathway with the most matching numbers; the first of equals."""

        def fitting(pathway: int) -> int:
            fitted = (self._fitted(slot, pathway) for slot in slots)
            return sum(value[0].size for value in fitted if not isinstance(value, str))

        pathways = sorted({place.pathway for place in self._trunk.convolutions})
        return max(pathways, key=fitting)

    def _fitted(self, slot: _Slot, pathway: int) -> tuple[np.ndarray, str, str] | str:
        """Returns the kernel in our shape, its status and how it was inflated; or why it does not fit."""
        source = self._trunk.convolutions.get(dataclasses.replace(slot.place, pathway=pathway))
        if source is None:
            return _NO_MODULE
        is_temporal = isinstance(slot.convolution, TemporalConvolution)
        return _as_ours(source.kernel, slot.convolution.kernel.shape, is_temporal, self._flow(slot))

    def _flow(self, slot: _Slot) -> float | None:
        return self._flow_scale if slot.kind == "flow" else None

    def _take(self, slot: _Slot, pathway: int) -> None:
        fitted = self._fitted(slot, pathway)
        if isinstance(fitted, str):
            for variable in (*slot.convolution.weights, *slot.norm.weights):
                self._outcomes[variable.ref()] = (INITIAL, (), fitted)
            return
        kernel, status, reason = fitted
        source = self._trunk.convolutions[dataclasses.replace(slot.place, pathway=pathway)]
        self._assign(slot.convolution.kernel, kernel, status, source.names["kernel"], reason)
        for name in NORM:
            self._assign(getattr(slot.norm, name), source.norm[name], LOADED, source.names[name])

    def _assign(
        self,
        variable: tf.Variable,
        value: np.ndarray,
        status: str,
        names: tuple[str, ...] = (),
        reason: str = "",
    ) -> None:
        variable.assign(value)
        self._outcomes[variable.ref()] = (status, names, reason)
        self._taken |= set(names)

    def _neutral_temporal(self, layer: tf_keras.layers.Layer) -> None:
        """Makes a stem's temporal convolution, and its norm in inference, the identity."""
        temporal = getattr(layer, "temporal", None)
        if temporal is None or self._outcomes[layer.spatial.kernel.ref()][0] == INITIAL:
            return
        kernel = np.zeros(temporal.kernel.shape, np.float32)
        kernel[kernel.shape[0] // 2, 0] = np.eye(kernel.shape[-1])
        self._assign(temporal.kernel, kernel, INFLATED, reason=_IDENTITY)
        norm = layer.temporal_norm
        neutral = {"gamma": 1, "beta": 0, "moving_mean": 0, "moving_variance": 1 - norm.epsilon}
        for name, value in neutral.items():
            variable = getattr(norm, name)
            self._assign(variable, np.full(variable.shape, value), INFLATED, reason=_IDENTITY)

    def _classifier(self) -> None:
        dense, stored = self._model.head.classifier, self._trunk.classifier
        agrees = stored and stored["kernel"].shape == tuple(dense.kernel.shape)
        for name in ("kernel", "bias"):
            variable = getattr(dense, name)
            if agrees:
                names = (self._trunk.classifier_names[name],)
                self._assign(variable, stored[name], LOADED, names)
            else:
                reason = _CLASSES if stored else "no classifier in the file"
                self._outcomes[variable.ref()] = (INITIAL, (), reason)

    def _weight(self, variable: tf.Variable) -> Weight:
        name = variable.name.split(":")[0].split("/", 1)[1]
        status, names, reason = self._outcomes.get(variable.ref(), (INITIAL, (), _ELSEWHERE))
        size = int(np.prod(variable.shape))
        return Weight(name, name.split("/")[0], size, status, names, reason)

    def _left(self) -> Iterator[Skipped]:
        """Yields the file's tensors that fill no variable."""
        built = {
            slot.place for index in self._model.node_layers for slot in self._slots(int(index))
        }
        for place, source in self._trunk.convolutions.items():
            is_built = dataclasses.replace(place, pathway=0) in built
            reason = "shaped unlike the network's" if is_built else "no such module here"
            yield from self._skipped(source, reason)
        for variable, name in self._trunk.classifier_names.items():
            if name not in self._taken:
                yield Skipped(name, self._trunk.classifier[variable].shape, _CLASSES)

    def _skipped(self, source: Convolution, reason: str) -> Iterator[Skipped]:
        shapes: Mapping[str, tuple[int, ...]] = {"kernel": source.kernel.shape}
        for variable, names in source.names.items():
            for name in names:
                if name not in self._taken:
                    yield Skipped(name, shapes.get(variable, source.kernel.shape[-1:]), reason)


def _as_ours(
    kernel: np.ndarray, shape: tuple[int, ...], is_temporal: bool, flow_scale: float | None
) -> tuple[np.ndarray, str, str] | str:
    """Returns a kernel [time, height, width, in, out] in the shape of ours, or why it cannot be."""
    frames, *space = kernel.shape
    if flow_scale is not None and frames == 1 and space[2] == 3:
        # Two channels in the place of three: the sum of what is read stays as large.
        mean = kernel[0].mean(axis=2, keepdims=True) * (flow_scale * 3 / 2)
        flow = np.repeat(mean, 2, axis=2)
        return (flow, INFLATED, _COLOURS) if flow.shape == tuple(shape) else _WIDTHS
    if not is_temporal:
        if tuple(space) != tuple(shape):
            return _WIDTHS
        return (kernel[0], LOADED, "") if frames == 1 else _TIME
    if tuple(space) != (1, 1, *shape[2:]):
        return _WIDTHS
    if frames == shape[0]:
        return kernel[:, :, 0], LOADED, ""
    if frames != 1:
        return _TIME
    inflated = np.zeros(shape, np.float32)
    inflated[shape[0] // 2] = kernel[0, 0]
    return inflated, INFLATED, _CENTRE
