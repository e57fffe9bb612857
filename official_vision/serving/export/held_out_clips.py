"""Clips of the validation data, on which every exported file must agree with the network."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import tensorflow as tf

from official_vision import config as configuration
from official_vision.data.input.pipeline import build_dataset
from official_vision.data.storage.damaged_segments import damage_named
from official_vision.data.storage.index import INDEX_FILE, Index
from official_vision.errors import UserError
from official_vision.modeling.inputs import blank_stream
from official_vision.modeling.network import AssembleNet
from official_vision.specs import DataSpec
from official_vision.training.clip_scoring import Trained
from official_vision.training.run_folder.class_names import check_same_classes
from official_vision.training.run_folder.held_out_clips import (
    StoredClips,
    read_stored_clips,
    spread_evenly,
)
from official_vision.training.task import scores_of


@dataclasses.dataclass(frozen=True)
class HeldOutClips:
    """Clips that are cut as in evaluation.

    Attributes:
      streams: each [clips, time, height, width, ...]; dtypes as the network is fed.
      labels: float32 [clips, classes], multi-hot.
    """

    streams: dict[str, np.ndarray]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def clip(self, number: int) -> dict[str, np.ndarray]:
        """Returns the streams of one clip, with a batch axis of 1."""
        return {name: values[number : number + 1] for name, values in self.streams.items()}

    def halves(self) -> tuple[HeldOutClips, HeldOutClips]:
        """Returns every second clip and the others; the same clip twice where there is only one."""
        if len(self) == 1:
            return self, self
        return self._every_second(0), self._every_second(1)

    def _every_second(self, first: int) -> HeldOutClips:
        streams = {name: values[first::2] for name, values in self.streams.items()}
        return HeldOutClips(streams, self.labels[first::2])

    def without(self, stream: str) -> HeldOutClips:
        """Returns the clips with one stream blanked."""
        blanked = blank_stream({k: tf.constant(v) for k, v in self.streams.items()}, stream)
        return dataclasses.replace(self, streams={k: v.numpy() for k, v in blanked.items()})


@dataclasses.dataclass(frozen=True)
class ClipsOfRun:
    """The split from which an export takes clips.

    Attributes:
      spec: its path, and how clips are cut.
      index: of it, with the classes, object ids and preparation of training.
      fingerprint: of the split, or of the one from which the run's folder has clips.
      notes: what the user should know of it.
      stored_frames: of each of the clips in the run's folder; None of a split, which has whole videos.
    """

    spec: DataSpec
    index: Index
    fingerprint: str
    notes: tuple[str, ...]
    stored_frames: int | None = None

    def with_frames(self, frames: int) -> ClipsOfRun:
        """Returns the same split, of which clips of other numbers of frames are cut."""
        stored, notes = self.stored_frames, ()
        if stored is not None and frames > stored:
            notes = (
                f"clips of {frames} frames repeat some, for those in the run's folder have {stored}; --data names a "
                "split of whole videos",
            )
        return dataclasses.replace(
            self, spec=dataclasses.replace(self.spec, frames=frames), notes=notes
        )

    def read(self, streams: tuple[str, ...], count: int) -> HeldOutClips:
        """Reads the middle clips of `count` videos, evenly spread.

        Raises:
          UserError: a segment is damaged, and DataSpec.damaged is fail.
        """
        with damage_named(self.spec.path, self.index):
            return read_clips(self.spec, self.index, streams, count)


def clips_of_run(trained: Trained, count: int, *, is_named: bool) -> ClipsOfRun:
    """Chooses where an export's clips come from: the run's folder, or the validation data.

    Args:
      trained: the run.
      count: of clips that are to be read.
      is_named: whether the user named the validation data: then they are read, never the folder's clips.

    Raises:
      UserError: the folder's clips are damaged; or it has none, and there are no data, or others than those that
        name the classes; or they are of other classes than the run.
    """
    spec = trained.config.validation_data
    stored = None if is_named else read_stored_clips(trained.model_dir)
    has_data = (Path(spec.path) / INDEX_FILE).is_file()
    if stored is None or (stored.lacks(count) and has_data):
        index = trained.validation_index()
        _check_labels_known(trained, index)
        return ClipsOfRun(
            spec, _as_trained(trained, index), index.fingerprint, _unlike(trained, spec, index)
        )
    return _of_folder(trained, stored, count)


def _of_folder(trained: Trained, stored: StoredClips, count: int) -> ClipsOfRun:
    index = stored.index
    check_same_classes(trained.labels, index.classes, stored.folder)
    spec = dataclasses.replace(
        trained.config.validation_data, path=str(stored.folder), damaged="fail"
    )
    notes = list(_unlike(trained, spec, index))
    if stored.lacks(count):
        notes.append(
            f"{index.num_videos} clips lie in the run's folder, where {count} are set; "
            "--data names a split that has more"
        )
    return ClipsOfRun(
        spec,
        _as_trained(trained, index),
        stored.source.fingerprint,
        tuple(notes),
        stored.source.frames,
    )


def _unlike(trained: Trained, spec: DataSpec, index: Index) -> tuple[str, ...]:
    return tuple(
        f"clips come from {spec.path}, prepared otherwise than the training data: {line}"
        for line in trained.unlike(index)
    )


def _as_trained(trained: Trained, index: Index) -> Index:
    """Returns an index with the object ids and the preparation of training."""
    training_index = trained.described_index()
    if training_index is None:
        return index
    return dataclasses.replace(
        index,
        settings=training_index.settings,
        object_classes=training_index.object_classes,
    )


def _check_labels_known(trained: Trained, index: Index) -> None:
    """Refuses other data than those of the run where they alone name the classes."""
    record = configuration.read_record(trained.model_dir)
    expected = record["data_fingerprints"].get("validation")
    if trained.labels is None and expected not in (None, index.fingerprint):
        raise UserError(
            "Class names come from the data that a run was evaluated on, since its folder has none. Received: "
            f"{trained.config.validation_data.path}, which has been prepared anew since {trained.model_dir} was "
            "trained. Bring the old data back."
        )


def read_clips(spec: DataSpec, index: Index, streams: tuple[str, ...], count: int) -> HeldOutClips:
    """Reads the middle clip of videos that are spread evenly over a split.

    Args:
      spec, index: of the split.
      streams: to read.
      count: of clips; all videos' where the split has fewer.
    """
    spec = dataclasses.replace(spec, batch_size=1, views=1, crops=1)
    wanted = set(spread_evenly(index.num_videos, count))
    rows = []
    for number, row in enumerate(build_dataset(spec, index, streams, training=False)):
        if number in wanted:
            rows.append(row)
        if len(rows) == len(wanted):
            break
    features = {name: np.concatenate([row[0][name] for row in rows]) for name in streams}
    return HeldOutClips(features, np.concatenate([row[1]["labels"] for row in rows]))


def network_scores(model: AssembleNet, clips: HeldOutClips) -> dict[str, np.ndarray]:
    """Returns the network's scores [clips, classes] and frame_scores [clips, time, classes]."""
    # On the CPU, as the file is run: an accelerator rounds otherwise.
    with tf.device("/CPU:0"):
        forward = tf.function(lambda streams: model(streams, training=False))
        outputs = [
            forward({name: tf.constant(x) for name, x in clips.clip(number).items()})
            for number in range(len(clips))
        ]
    return {
        name: np.concatenate(
            [
                scores_of(batch_outputs[logits], model.spec.activation).numpy()
                for batch_outputs in outputs
            ]
        )
        for name, logits in (("scores", "logits"), ("frame_scores", "frame_logits"))
    }
