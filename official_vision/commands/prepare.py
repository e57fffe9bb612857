"""Prepares videos and annotations as shards: prepare --gin_file=FILE [--gin_bindings='PrepareSpec.x = y'].

With --audit nothing is written but a report: counts, classes, lengths and sizes of the videos, and
what is missing, broken, unlabelled or in two splits; of prepared splits also what is wrong in shards.

Exit status: 0 when every video was prepared, 3 when some were left out (named on standard error and
in index.json) or the audit has findings, 1 for a mistake, or for any left-out video with
PrepareSpec.left_out_is_fatal = True.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from official_vision import cli, config, files
from official_vision.errors import UserError
from official_vision.progress import Progress, tracked

if TYPE_CHECKING:
    from official_vision.data.annotations.manifest import Manifest
    from official_vision.specs import PrepareSpec

cli.define_gin_flags()
flags.adopt_module_key_flags(cli)
_PREVIEW = flags.DEFINE_string("preview", None, "PNG to draw: samples of the prepared clips.")
_AUDIT = flags.DEFINE_bool("audit", False, "Report on the data set instead of preparing it.")
_DECODE = flags.DEFINE_bool(
    "decode",
    False,
    "With --audit: decode every frame, instead of reading packets and a key frame per second.",
)
_JSON = flags.DEFINE_string("json", None, "With --audit: file to write all of the report to.")
_NOTES_PRINTED = 10


def main() -> int:
    """Prepares every split of the annotation file, or audits the data set."""
    if (_DECODE.value or _JSON.value) and not _AUDIT.value:
        raise UserError(
            "--decode and --json belong to an audit. Received: one of them without --audit. Add --audit."
        )
    if _AUDIT.value and _PREVIEW.value:
        raise UserError(
            "--audit prepares nothing to draw. Received: --audit and --preview. Give one of them."
        )
    spec = config.load(flags.FLAGS.gin_file, flags.FLAGS.gin_bindings).prepare
    # Imported late: --help and mistakes get their message at once. Annotations need no TensorFlow.
    from official_vision.data.annotations.reading import read_manifest, with_videos_folder

    spec = with_videos_folder(spec)
    _check_outputs(spec)
    manifest = read_manifest(spec)
    print(*manifest.division, sep="\n", end="\n" if manifest.division else "")
    return _audit(manifest, spec) if _AUDIT.value else _prepare(manifest, spec)


def _check_outputs(spec: "PrepareSpec") -> None:
    for flag in (_PREVIEW, _JSON):
        if flag.value:
            files.check_writable(flag.value, f"--{flag.name}")
    if spec.output and not _AUDIT.value:
        files.check_folder_writable(spec.output, "PrepareSpec.output")


def _prepare(manifest: "Manifest", spec: "PrepareSpec") -> int:
    from official_vision.data.prepare.preparation import prepare_split
    from official_vision.data.storage.split_comparison import unlike_siblings

    _print_notes(manifest.notes, "which --audit --json=FILE names")
    left_out, notes = [], []
    for split in manifest.splits():
        with Progress(len(manifest.rows_of(split)), split) as progress:
            index = prepare_split(manifest, split, spec, progress.update)
        print(
            f"{split}: {index.num_videos} videos in {len(index.shards)} shards, {len(index.left_out)} left out"
        )
        left_out += index.left_out
    for line in unlike_siblings(spec.output, index):
        print(f"warning: {line}", file=sys.stderr)
        notes += index.notes
    for kind in dict.fromkeys(item.kind for item in notes):
        of_kind = [f"{item.id}: {item.note}" for item in notes if item.kind == kind]
        _print_notes(of_kind, "which index.json names")
    for item in left_out:
        print(f"left out {item.id}: {item.reason}", file=sys.stderr)
    if _PREVIEW.value:
        from official_vision.data.prepare.preview import draw_preview

        draw_preview(spec.output, manifest.splits()[0], _PREVIEW.value)
        print(f"samples drawn in {_PREVIEW.value}")
    if left_out and spec.left_out_is_fatal:
        return 1
    return cli.SOME_LEFT_OUT if left_out else 0


def _print_notes(notes: Sequence[str], others: str) -> None:
    for note in notes[:_NOTES_PRINTED]:
        print(f"note: {note}", file=sys.stderr)
    if len(notes) > _NOTES_PRINTED:
        print(f"note: {len(notes) - _NOTES_PRINTED} more, {others}", file=sys.stderr)


def _audit(manifest: "Manifest", spec: "PrepareSpec") -> int:
    from official_vision.data.audit.audit import audit
    from official_vision.data.audit.audit_text import report

    findings = audit(manifest, spec, decode=_DECODE.value, progress=tracked)
    print(report(findings))
    if _JSON.value:
        files.write_json(_JSON.value, findings.to_dict())
    return cli.SOME_LEFT_OUT if findings.findings else 0
