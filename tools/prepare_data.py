"""Videos and annotations -> shards: prepare_data --gin_file=FILE [--gin_bindings='PrepareSpec.x = y'].

Exit status: 0 when every video was prepared, 3 when some were left out (named on standard error and
in index.json), 1 for a mistake, or for any left-out video with PrepareSpec.left_out_is_fatal = True.
"""

import sys

from absl import flags
from tqdm import tqdm

from official_vision import cli, config

cli.define_gin_flags()
flags.adopt_module_key_flags(cli)
_PREVIEW = flags.DEFINE_string("preview", None, "PNG to draw: samples of the prepared clips.")
_NOTES_PRINTED = 10


def main() -> int:
    """Prepares every split of the annotation file."""
    spec = config.load(flags.FLAGS.gin_file, flags.FLAGS.gin_bindings).prepare
    # Imported late: --help and mistakes are answered before TensorFlow starts.
    from official_vision.data.prepare import prepare_split, read_manifest

    manifest = read_manifest(spec)
    for note in manifest.notes[:_NOTES_PRINTED]:
        print(f"note: {note}", file=sys.stderr)
    if len(manifest.notes) > _NOTES_PRINTED:
        print(
            f"note: {len(manifest.notes) - _NOTES_PRINTED} more; --audit prints all",
            file=sys.stderr,
        )
    left_out = []
    for split in manifest.splits():
        with tqdm(
            total=len(manifest.rows_of(split)), desc=split, unit="video", disable=None
        ) as bar:
            index = prepare_split(manifest, split, spec, bar.update)
        print(
            f"{split}: {index.num_videos} videos in {len(index.shards)} shards, {len(index.left_out)} left out"
        )
        left_out += index.left_out
    for item in left_out:
        print(f"left out {item.id}: {item.reason}", file=sys.stderr)
    if _PREVIEW.value:
        from official_vision.data.preview import draw_preview

        draw_preview(spec.output, manifest.splits()[0], _PREVIEW.value)
        print(f"samples drawn in {_PREVIEW.value}")
    if left_out and spec.left_out_is_fatal:
        return 1
    return cli.SOME_LEFT_OUT if left_out else 0


if __name__ == "__main__":
    cli.run(main)
