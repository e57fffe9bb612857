"""The audit of prepared splits: damage, streams of unequal length, other annotations."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import tensorflow as tf

from official_vision import files
from official_vision.data.annotations.manifest import Manifest
from official_vision.data.audit.finding import Finding, Progress
from official_vision.data.storage.index import INDEX_FILE, Index
from official_vision.data.storage.shard import ENCODED_KEYS
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec


def shard_findings(
    manifest: Manifest, spec: PrepareSpec, missing: Collection[str], progress: Progress
) -> list[Finding]:
    """Audits the splits that have been prepared; the others are passed over.

    Args:
      manifest: all videos.
      spec: names the folder of shards.
      missing: paths that are known to be missing, so that they are not named twice.
      progress: shows how far it is.

    Returns:
      What was left out, shards that are damaged or of other annotations, and videos whose rgb, flow
      and objects differ in length.
    """
    findings = []
    for split in manifest.splits():
        folder = Path(spec.output) / split
        if (folder / INDEX_FILE).is_file():
            findings += _split_findings(manifest, split, folder, missing, progress)
    return findings


def _split_findings(
    manifest: Manifest, split: str, folder: Path, missing: Collection[str], progress: Progress
) -> Iterator[Finding]:
    try:
        index = Index.read(folder)
    except UserError as error:
        yield Finding("shards", split, str(error))
        return
    for item in index.left_out:
        if item.path not in missing:
            yield Finding("left_out", item.id, item.reason)
    if difference := _difference(manifest, split, index):
        yield Finding("shards", split, difference)
    sound = []
    for shard in index.shards:
        path = folder / shard.file
        if files.sha256(path) == shard.sha256:
            sound.append(str(path))
        else:
            yield Finding("shards", str(path), "its content has changed since it was written")
    records = progress(_lengths(sound, index.streams), index.num_videos, f"{split} shards")
    for video, lengths in records:
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{count} of {name}" for name, count in lengths.items())
            yield Finding(
                "frame_count",
                video,
                f"the streams of its segments have different numbers of frames: {counts}",
            )


def _difference(manifest: Manifest, split: str, index: Index) -> str:
    """Returns the difference of the annotations from those of the shards; empty if they don't."""
    if index.classes != manifest.classes:
        return "the shards have other classes than the annotations"
    known = {*index.videos, *(item.id for item in index.left_out)}
    named = {row.id for row in manifest.rows_of(split)}
    if known == named:
        return ""
    some = ", ".join(sorted(known ^ named)[:3])
    return f"{len(known ^ named)} videos are in the annotations or in the shards alone: {some}"


def _lengths(shards: Iterable[str], streams: Iterable[str]) -> Iterator[tuple[str, dict[str, int]]]:
    """Yields (id, frames by stream) of every video, whose segments follow one another."""
    records = tf.data.TFRecordDataset(list(shards)).as_numpy_iterator()
    examples = map(tf.train.SequenceExample.FromString, records)
    for _, segments in itertools.groupby(examples, _row_of):
        lengths = collections.Counter(dict.fromkeys(streams, 0))
        for segment in segments:
            lists = segment.feature_lists.feature_list
            lengths.update({name: len(lists[ENCODED_KEYS[name]].feature) for name in lengths})
        yield segment.context.feature["clip/id"].bytes_list.value[0].decode(), dict(lengths)


def _row_of(example: tf.train.SequenceExample) -> int:
    return example.context.feature["clip/video"].int64_list.value[0]
