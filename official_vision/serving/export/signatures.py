"""The signatures of an exported SavedModel, as functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from official_vision.architecture.neutral_values import UNLABELLED
from official_vision.modeling.flow import RepresentationFlow
from official_vision.modeling.inputs import input_signature
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops import frame_layout as time_axis
from official_vision.modeling.ops.shared_maps import spatial_average
from official_vision.serving.explain.gate_openings import gate_openings, gates_of
from official_vision.serving.export.description import (
    DEFAULT_SIGNATURE,
    FEATURES_SIGNATURE,
    HEAD_INPUT,
    HEAD_SIGNATURE,
    STREAMS_SIGNATURE,
    gate_name,
    node_name,
    stem_name,
)
from official_vision.serving.export.request_checks import checked_average, checked_in_graph
from official_vision.serving.export.request_decoding import decoded_frames, middle_clips
from official_vision.specs import DataSpec
from official_vision.training.task import scores_of


@dataclasses.dataclass(frozen=True)
class _Untracked:
    """A plain object around a Keras model: tf.Module would track, and save, the model otherwise."""

    model: AssembleNet
    flow: RepresentationFlow


class ServingModule(tf.Module):
    """The network with its preprocessing, as functions from a client's data to scores.

    The Keras model itself is not tracked by the module, only its variables: saving a Keras model would
    trace every layer by itself, for minutes, and load them all again.

    serving_default  rgb uint8 [batch, time, height, width, 3] in 0..255 alone: flow is computed (TV-L1), objects
                     are unlabelled; of a network without rgb, as streams
    streams          every stream of the network: rgb, flow float32 [batch, time, height, width, 2] in
                     pixels per frame, objects uint8 ids [batch, time, height, width]; every size is free
    encoded          frames, string [batch, time]: JPEG or PNG files, cut and resized as in
                     evaluation, then as serving_default
    sequence_example records, string [batch], of data/storage/shard.py with every stream of the network: their
                     middle clip, as evaluation with one view and one crop takes it
    gates            as streams, but returns each gated connection's multipliers, float32
                     [batch, time, channels], by the names of `gate_name`; where there are gates

    frame_stems      flow alone: returns the outputs of flow stems for each frame, [batch, time, height, width,
                     channels] by the names of `stem_name`; where there are stems that see one frame at a
                     time, and other streams
    from_stems       these outputs and all streams but flow: for frames that are in several clips

    features         as streams, but returns what the head reads of each frame, head float32 [batch, time, channels];
                     the head's logits float32 [batch, classes] and frame_logits [batch, time, classes]; and the
                     spatial averages of chosen nodes, float32 [batch, time, channels] by the names of `node_name`
    head             head of features alone: for scores of features that were stored

    A request that is empty, whose streams disagree, that has NaN or can't be decoded is refused by
    name.
    All but gates, frame_stems and features return scores [batch, classes], frame_scores [batch, time, classes] and
    labels, string [batch, classes]: servers that join requests in batches cut every result by its batch axis.
    """

    def __init__(
        self,
        model: AssembleNet,
        labels: Sequence[str],
        assets: Sequence[str],
        clip: DataSpec,
        feature_nodes: Sequence[int] = (),
    ):
        """Args:
        model: the network.
        labels: class names.
        assets: files that travel in the SavedModel's assets folder.
        clip: how clips are cut from records, and the size of frames.
        feature_nodes: whose averages are among the features.
        """
        super().__init__()
        self.weights = model.variables
        self.labels = tf.constant(list(labels))
        self.assets = [tf.saved_model.Asset(path) for path in assets]
        flow = RepresentationFlow(
            model.spec.flow_iterations,
            border=model.spec.flow_border,
            execution=model.execution,
        )
        self._network = _Untracked(model, flow)
        self._gates = tuple(gate_name(gate) for gate in gates_of(model))
        self._clip = dataclasses.replace(clip, views=1, crops=1)
        streams = input_signature(model.streams)
        self._nodes = tuple(feature_nodes)
        # Functions that the others call: the network lies in the file once, and is traced once.
        self._stems, fed = model.framewise_stems(), streams
        if self._stems:
            fed = {k: v for k, v in streams.items() if k != "flow"} | _stem_signature(model)
            self.serve_stems = _graph(self._serve_stems, {"flow": streams["flow"]})
            self.serve_from_stems = _graph(self._serve_from_stems, fed)
        self.averages = _graph(self._averages, fed)
        average = tf.TensorSpec([None, None, model.head_channels], tf.float32, HEAD_INPUT)
        self.serve_head = _graph(self._serve_head, {HEAD_INPUT: average})
        self.serve_features = _graph(self._serve_features, streams)
        self.serve = _graph(self._serve, streams)
        self.serve_gates = _graph(self._serve_gates, streams)
        self.serve_rgb = _graph(self._serve_rgb, input_signature(("rgb",)))
        frames = tf.TensorSpec([None, None], tf.string, "frames")
        self.serve_encoded = _graph(self._serve_encoded, frames)
        records = tf.TensorSpec([None], tf.string, "records")
        self.serve_records = _graph(self._serve_records, records)

    def signatures(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """Returns the functions by the names that clients use."""
        functions = {STREAMS_SIGNATURE: self.serve, "sequence_example": self.serve_records}
        functions |= {FEATURES_SIGNATURE: self.serve_features, HEAD_SIGNATURE: self.serve_head}
        if "rgb" in self._network.model.streams:
            functions |= {DEFAULT_SIGNATURE: self.serve_rgb, "encoded": self.serve_encoded}
        else:
            functions[DEFAULT_SIGNATURE] = self.serve
        if self._gates:
            functions["gates"] = self.serve_gates
        if self._stems:
            functions |= {"frame_stems": self.serve_stems, "from_stems": self.serve_from_stems}
        return functions

    def _serve(self, streams: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._scores_of(self.averages(self._checked(streams)))

    def _serve_features(self, streams: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        features = self.averages(self._checked(streams))
        return {**features, **self._logits_of(features[HEAD_INPUT])}

    def _serve_head(self, fed: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._scores_of({HEAD_INPUT: checked_average(fed[HEAD_INPUT])})

    def _checked(self, streams: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns what `averages` is fed."""
        checked = checked_in_graph(streams)
        if not self._stems:
            return checked
        flow = checked.pop("flow")
        return checked | self.serve_stems({"flow": flow})

    def _serve_stems(self, streams: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        flow = checked_in_graph(streams)["flow"]
        made = self._network.model.stem_outputs(flow)
        return {
            stem_name(index): time_axis.split_time(made[index], tf.shape(flow)[1])
            for index in self._stems
        }

    def _serve_from_stems(self, fed: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        stems = {index: fed[stem_name(index)] for index in self._stems}
        names = {stem_name(index) for index in self._stems}
        checked = checked_in_graph({name: x for name, x in fed.items() if name not in names})
        first = next(iter(checked))
        clips = tf.shape(checked[first])[:2]
        checks = [
            tf.debugging.Assert(
                tf.reduce_all(tf.equal(tf.shape(x)[:2], clips)),
                [f"{stem_name(i)} must have the batch and time of {first}. Received:", tf.shape(x)],
            )
            for i, x in stems.items()
        ]
        with tf.control_dependencies([check for check in checks if check is not None]):
            same = {stem_name(index): tf.identity(x) for index, x in stems.items()}
        return self._scores_of(self.averages(checked | same))

    def _averages(self, fed: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns what the head reads and the averages of the chosen nodes, float32 [batch, time, channels]."""
        network, names = self._network.model, {stem_name(index): index for index in self._stems}
        stems = {index: time_axis.merge_time(fed[name]) for name, index in names.items()}
        streams = {name: x for name, x in fed.items() if name not in names}
        outputs = network.endpoints(streams, training=False, stems=stems)
        frames = tf.shape(next(iter(streams.values())))[1]
        averages = {node_name(node): spatial_average(outputs[str(node)]) for node in self._nodes}
        averages[HEAD_INPUT] = network.head_input(outputs, training=False)
        return {
            name: tf.cast(time_axis.split_time(x, frames), tf.float32)
            for name, x in averages.items()
        }

    def _logits_of(self, average: tf.Tensor) -> dict[str, tf.Tensor]:
        merged = time_axis.merge_time(tf.cast(average, self._network.model.compute_dtype))
        return self._network.model.head(merged, tf.shape(average)[1], training=False)

    def _scores_of(self, averages: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        outputs = self._logits_of(averages[HEAD_INPUT])
        activation = self._network.model.spec.activation
        return {
            "scores": scores_of(outputs["logits"], activation),
            "frame_scores": scores_of(outputs["frame_logits"], activation),
            "labels": self._labels_of(outputs["logits"]),
        }

    def _labels_of(self, logits: tf.Tensor) -> tf.Tensor:
        return tf.broadcast_to(self.labels, tf.shape(logits))

    def _serve_gates(self, streams: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        checked = checked_in_graph(streams)
        frames = tf.shape(next(iter(checked.values())))[1]
        opened = gate_openings(self._network.model, checked)
        return {
            name: time_axis.split_time(opening, frames)
            for name, opening in zip(self._gates, opened, strict=True)
        }

    def _serve_rgb(self, streams: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        rgb, wanted = checked_in_graph(streams)["rgb"], self._network.model.streams
        fed = {"rgb": rgb}
        if "flow" in wanted:
            fed["flow"] = self._network.flow(rgb)
        if "objects" in wanted:
            fed["objects"] = tf.fill(tf.shape(rgb)[:-1], tf.constant(UNLABELLED, tf.uint8))
        return self.serve(fed)

    def _serve_encoded(self, frames: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.serve_rgb({"rgb": decoded_frames(frames, self._clip.size)})

    def _serve_records(self, records: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.serve(middle_clips(records, self._network.model.streams, self._clip))


def _graph(
    function: Callable[..., dict[str, tf.Tensor]],
    signature: dict[str, tf.TensorSpec] | tf.TensorSpec,
) -> tf.types.experimental.GenericFunction:
    """Returns the function as a graph of one input; AutoGraph would read all its source for nothing."""
    return tf.function(function, input_signature=[signature], autograph=False)


def _stem_signature(model: AssembleNet) -> dict[str, tf.TensorSpec]:
    names = {index: stem_name(index) for index in model.framewise_stems()}
    return {
        name: tf.TensorSpec(
            [None, None, None, None, model.plan[int(index)].output_channels],
            model.compute_dtype,
            name,
        )
        for index, name in names.items()
    }
