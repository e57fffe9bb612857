"""The whole network as a Keras model: every node's layer, and one walk over the graph."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from official_vision.architecture.formats import from_json, to_json
from official_vision.architecture.graph import Architecture, Stem
from official_vision.architecture.plan import NodePlan, make_plan
from official_vision.modeling import inputs as model_inputs
from official_vision.modeling.block import make_block
from official_vision.modeling.execution import Execution, training_execution
from official_vision.modeling.flow import RepresentationFlow
from official_vision.modeling.head import ClassificationHead
from official_vision.modeling.ops import frame_layout as time_axis
from official_vision.modeling.ops.batch_norm import BatchNormalization, UpdateCount
from official_vision.modeling.ops.convolution import batch_norm, spatial_convolution
from official_vision.modeling.ops.cpu_kernels.sparse_objects import PresentMap, of_all_classes
from official_vision.modeling.ops.elementwise import norm_relu
from official_vision.modeling.ops.layer import build_inside, build_path, feature_maps, register
from official_vision.modeling.ops.rematerialisation import rematerialised
from official_vision.modeling.ops.shared_maps import Shared, as_one_map, mean_of_averages
from official_vision.modeling.stems import make_stem
from official_vision.private_apis import track
from official_vision.specs import ModelSpec


@register
class AssembleNet(tf_keras.Model):
    """A multi-stream network: stems, gated and weighted connections, blocks, a classifier per frame.

        rgb  -- stems --+-- level 1 --+-- level 2 --+-- level 3 --+-- level 4 -- average -- logits
        flow -- stems --+             |             |             |
        objects - stem -+--- any earlier node feeds any later block, gated by a peer

    Batch, time, height and width are free: one model runs 8 frames and 128.
    """

    def __init__(
        self,
        architecture: Architecture,
        spec: ModelSpec,
        execution: Execution | None = None,
        **kwargs,
    ):
        """Args:
        architecture: the graph, with the depth and width that will be built.
        spec: every other setting of the network.
        execution: how it computes, which is in no configuration; None takes training on this machine.
        """
        # In half precision Keras would round float frames to whole grey values before the flow sees them.
        super().__init__(**{"autocast": False, **kwargs})
        self.architecture = architecture
        self.spec = spec = spec.with_numbers()
        self.execution = execution or training_execution(spec)
        self.streams = model_inputs.streams_of(architecture, spec)
        self.plan = make_plan(architecture, spec.num_object_classes)
        self._head_plan = architecture.kind.head
        self._alive = architecture.live_nodes(gated_by_peers=spec.gate == "peer")
        self._averaged = self._read_by_gates()
        if spec.flow_source == "computed" and "flow" in architecture.streams:
            self.flow = RepresentationFlow(
                spec.flow_iterations,
                border=spec.flow_border,
                stretch=spec.flow_stretch,
                execution=self.execution,
                name="flow",
            )
        widths = {plan.index: plan.output_channels for plan in self.plan}
        self.node_layers = {
            str(plan.index): self._make_node(plan, widths)
            for plan in self.plan
            if plan.index in self._alive
        }
        self._make_head()
        self._count_updates()

    def make_weights(self) -> None:
        """Makes every weight, node by node, without computing or tracing anything."""
        with tf.name_scope(self.name):
            for index, layer in self.node_layers.items():
                stem = self.plan[int(index)].stem
                build_inside(layer, feature_maps(stem.input_channels if stem else None))
            shape = feature_maps(self.plan[self.architecture.outputs[0]].output_channels)
            if self._head_plan.final_channels:
                shape = build_path(shape, self.final, self.final_norm)
            build_inside(self.head, tf.TensorShape([None, shape[-1]]))
        self.built = True

    def _make_node(self, plan: NodePlan, widths: Mapping[int, int]) -> tf_keras.layers.Layer:
        node = self.architecture.nodes[plan.index]
        name = f"node_{plan.index:02d}"
        if plan.stem is None:
            return make_block(
                self.spec.gate, node, plan, widths, self.architecture, name, self.execution
            )
        return make_stem(plan.stem, self.architecture, name, self.execution)

    def _read_by_gates(self) -> frozenset[tuple[int, int]]:
        """Returns the (node, pooling ratio) of each map whose average gates read."""
        read: set[tuple[int, int]] = set()
        for plan in self.plan:
            if plan.index in self._alive and plan.fusion is not None:
                for source in plan.gate_sources(self.spec.gate):
                    read.update(source.maps())
        return frozenset(read)

    def _make_head(self) -> None:
        plan = self._head_plan
        if plan.final_channels:
            self.final = spatial_convolution(
                plan.final_channels, 1, name="final", execution=self.execution
            )
            self.final_norm = batch_norm(name="final_norm", execution=self.execution)
        self.head = ClassificationHead(
            self.spec.num_classes,
            self.spec.frame_pooling,
            self.spec.dropout_rate,
            plan.hidden_channels,
            execution=self.execution,
            name="head",
        )

    def _count_updates(self) -> None:
        """Gives all batch norms one count of batches, which is in checkpoints but not in `weights`."""
        self.update_count = UpdateCount()
        track(self, self.update_count.variable, "norm_updates")
        for layer in self.submodules:
            if isinstance(layer, BatchNormalization):
                layer.update_count = self.update_count

    @tf.autograph.experimental.do_not_convert
    def __call__(self, features: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Calls the network as `call` says; streams of other dtypes are cast, or refused in one line."""
        known = self.streams if kwargs.get("stems") else ()
        # Before Keras, whose messages have many lines.
        features = model_inputs.as_fed(features, self.streams, known)
        return super().__call__(features, *args, **kwargs)

    # Control flow here depends on the graph alone: AutoGraph would read every layer's source in vain.
    @tf.autograph.experimental.do_not_convert
    def call(
        self,
        features: Mapping[str, tf.Tensor],
        training: bool | None = None,
        dropout_seeds: tf.Tensor | None = None,
        stems: Mapping[str, tf.Tensor] | None = None,
        clip_by_clip: bool = False,
    ) -> dict[str, tf.Tensor]:
        """Classifies clips.

        Args:
          features: a dict of the model's streams: rgb [batch, time, height, width, 3] uint8 or float
            in 0..255; flow [batch, time, height, width, 2] in pixels per frame; objects uint8 ids
            [batch, time, height, width].
          training: batch norm uses the batch's statistics, and dropout is on.
          dropout_seeds: int32 [batch, 2], of each clip's dropout; None leaves it to TensorFlow's state.
          stems: outputs of stems that are known already, as `endpoints` names and shapes them; streams that
            these alone read may be missing from the features.
          clip_by_clip: no clip's flow depends on others of its batch, with any ModelSpec.flow_stretch.

        Returns:
          logits, float32 [batch, num_classes], and frame_logits, float32 [batch, time, num_classes].
        """
        outputs = self._walk(features, training, stems, clip_by_clip)
        return self.classify(outputs, self._frames(features), training, dropout_seeds)

    @tf.autograph.experimental.do_not_convert
    def classify(
        self,
        endpoints: Mapping[str, tf.Tensor],
        frames: int | tf.Tensor,
        training: bool | None = None,
        dropout_seeds: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Computes logits from the outputs of the highest level's blocks: `call` without the walk.

        Args:
          endpoints: of `endpoints`.
          frames: time, a scalar.
          training, dropout_seeds: as in `call`.
        """
        average = self.head_input(endpoints, training)
        return self.head(average, frames, training=training, dropout_seeds=dropout_seeds)

    def head_input(
        self, endpoints: Mapping[str, tf.Tensor], training: bool | None = None
    ) -> tf.Tensor:
        """Returns what the head reads, [batch * time, channels]: the mean of the outputs' spatial averages."""
        maps = [endpoints[str(index)] for index in self.architecture.outputs]
        if self._head_plan.final_channels:
            maps = as_one_map(maps, lambda x: self._final_map(x, training))
        return mean_of_averages(maps, self.execution)

    @property
    def head_channels(self) -> int:
        """Channels of `head_input`."""
        last = self.plan[self.architecture.outputs[0]]
        return self._head_plan.final_channels or last.output_channels

    def _final_map(self, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Applies the -lite network's last convolution."""
        return norm_relu(self.final(x), self.final_norm, training)

    @tf.autograph.experimental.do_not_convert
    def endpoints(
        self,
        features: Mapping[str, tf.Tensor],
        training: bool | None = None,
        stems: Mapping[str, tf.Tensor] | None = None,
    ) -> dict[str, tf.Tensor]:
        """Computes every node's output in one walk over the graph; arguments as in `call`.

        Returns:
          Every live node's output by its index as text, [batch * time, height, width, channels].
        """
        features = model_inputs.as_fed(features, self.streams, self.streams if stems else ())
        outputs = self._walk(features, training, stems)
        for index, output in outputs.items():
            if isinstance(output, PresentMap):
                channels = self.plan[int(index)].output_channels
                outputs[index] = of_all_classes(*output, channels)
        return outputs

    def _walk(
        self,
        features: Mapping[str, tf.Tensor],
        training: bool | None,
        stems: Mapping[str, tf.Tensor] | None,
        clip_by_clip: bool = False,
    ) -> dict[str, tf.Tensor | PresentMap]:
        """Walks as `endpoints`; an object map may have only the channels of classes that are present."""
        if training:
            self.update_count.add()
        streams, frames = self._prepared(features, clip_by_clip), self._frames(features)
        outputs: dict[str, tf.Tensor | PresentMap] = dict(stems or {})
        widths = {str(plan.index): plan.output_channels for plan in self.plan}
        shared = Shared(outputs, widths, self._averaged, training, self.execution)
        for plan in self.plan:
            if plan.index not in self._alive or str(plan.index) in outputs:
                continue
            node, layer = self.architecture.nodes[plan.index], self.node_layers[str(plan.index)]
            if not isinstance(node, Stem):
                fusion = plan.fusion
                reached = zip(fusion.inputs, fusion.pool_ratios, strict=True)
                pooled = [shared.pooled(source, ratio) for source, ratio in reached]
                sources = [shared.averages(*source) for source in plan.gate_sources(self.spec.gate)]
                output = self._run(layer, (pooled, sources), frames, training)
            elif node.kind == "object":
                shown = layer.present if self.execution.is_cpu_inference else layer
                output = shown(streams["object"])
            else:
                output = self._run(layer, (streams[node.kind],), frames, training)
            outputs[str(plan.index)] = shared.with_average(plan.index, output)
        return outputs

    def _run(
        self,
        layer: tf_keras.layers.Layer,
        tensors: Sequence[Any],
        frames: int | tf.Tensor,
        training: bool | None,
    ) -> tf.Tensor:
        if not (training and self.execution.recomputes == "everything"):
            return layer(*tensors, frames, training=training)
        return rematerialised(lambda *again: layer(*again, frames, training=training), *tensors)

    def framewise_stems(self) -> tuple[str, ...]:
        """Returns the stems whose outputs for a frame overlapping clips could share, as `endpoints` names them.

        They see one frame of flow that is fed, and nothing over time. Object stems do so too: pooling ids
        anew costs less than handing on a channel per class. Empty where no other stream is fed.
        """
        if not {"flow"} < {*self.streams}:
            return ()
        nodes = self.architecture.nodes
        layers = {
            i: stem for i, stem in self.node_layers.items() if isinstance(nodes[int(i)], Stem)
        }
        return tuple(
            index
            for index, layer in layers.items()
            if nodes[int(index)].kind == "flow" and not layer.temporal_kernel_size
        )

    def stem_outputs(self, flow: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the outputs of `framewise_stems`, [batch * time, height, width, channels], at inference.

        Args:
          flow: [batch, time, height, width, 2] in pixels per frame.
        """
        merged, frames = time_axis.merge_time(flow), time_axis.sizes(flow)[1]
        return {
            index: self.node_layers[index](merged, frames, training=False)
            for index in self.framewise_stems()
        }

    def _frames(self, features: Mapping[str, tf.Tensor]) -> int | tf.Tensor:
        """Returns the number of frames, a scalar."""
        fed = next(name for name in self.streams if name in features)
        return time_axis.sizes(features[fed])[1]

    def _prepared(
        self, features: Mapping[str, tf.Tensor], clip_by_clip: bool
    ) -> dict[str, tf.Tensor]:
        """Prepares each stem kind's input, [batch * time, height, width, ...]."""
        streams: dict[str, tf.Tensor] = {}
        if "rgb" in features:
            streams["rgb"] = features["rgb"]
        if hasattr(self, "flow"):
            # Batches of a server hold clips of several clients.
            alone = clip_by_clip or self.execution.is_folded
            streams["flow"] = self.flow(features["rgb"], alone)
        elif "flow" in features:
            streams["flow"] = features["flow"]
        if "objects" in features:
            streams["object"] = features["objects"]
        merged: dict[str, tf.Tensor] = {}
        for kind, x in streams.items():
            merged[kind] = time_axis.merge_time(x, next(iter(merged.values()), None))
        if "rgb" in merged:  # behind the reshape: mobile GPUs have operations of four axes alone
            merged["rgb"] = model_inputs.normalise_rgb(
                merged["rgb"], self.spec.rgb_mean, self.spec.rgb_deviation, self.compute_dtype
            )
        return merged

    def blocks(self) -> dict[int, tf_keras.layers.Layer]:
        """Returns the convolutional blocks by node index."""
        stems = {i for i, node in enumerate(self.architecture.nodes) if isinstance(node, Stem)}
        return {int(i): layer for i, layer in self.node_layers.items() if int(i) not in stems}

    def kernels(self) -> list[tf.Variable]:
        """Returns the kernels of convolutions and dense layers: what weight decay may touch."""
        return [v for v in self.trainable_variables if _last_name(v) == "kernel"]

    def architecture_variables(self) -> list[tf.Variable]:
        """Returns the connection strengths w and the peer logits h, before sigmoid and softmax."""
        return [v for v in self.trainable_variables if is_architecture_variable(v)]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> tf.Tensor:
        """Computes the loss of `compile` on the logits, unless the labels are a dict by output."""
        return super().compute_loss(x, y, _logits_for(y, y_pred), sample_weight)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> dict[str, Any]:
        """Computes the metrics of `compile`, as `compute_loss`."""
        return super().compute_metrics(x, y, _logits_for(y, y_pred), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {
            "architecture": to_json(self.architecture),
            "spec": self.spec.to_dict(),
            "name": self.name,
        }

    def get_build_config(self) -> dict[str, Any]:
        return {"built": self.built}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Makes the weights of a loaded model: no input's shape is needed for that."""
        if config["built"]:
            self.make_weights()

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> AssembleNet:
        del custom_objects  # every class here is registered
        architecture, spec = from_json(config["architecture"]), ModelSpec.from_dict(config["spec"])
        return cls(architecture, spec, name=config["name"])


def _logits_for(labels: Any, outputs: Any) -> Any:
    return outputs if isinstance(labels, Mapping) else outputs["logits"]


def is_architecture_variable(variable: tf.Variable) -> bool:
    """Recognises connection strengths w and peer logits h by name; a replica's end in /replica_1."""
    return not {"strength_logits", "peer_logits"}.isdisjoint(re.split("[/:]", variable.name))


def weights_and_connections(
    variables: Iterable[tf.Variable],
) -> tuple[list[tf.Variable], list[tf.Variable]]:
    """Separates the network's weights from w and h."""
    groups: tuple[list[tf.Variable], list[tf.Variable]] = ([], [])
    for variable in variables:
        groups[is_architecture_variable(variable)].append(variable)
    return groups


def _last_name(variable: tf.Variable) -> str:
    return variable.name.split("/")[-1].split(":")[0]
