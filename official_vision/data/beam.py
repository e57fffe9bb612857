"""Preparation on Apache Beam: every shard is one element, written by whichever machine gets it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from official_vision.data.decoding_worker import DecodingWorker
from official_vision.data.shard_task import (
    ShardReport,
    ShardTask,
    finished_report,
    read_report,
    write_shard,
)
from official_vision.errors import UserError


def write_shards(
    tasks: Sequence[ShardTask], runner: str, options: Sequence[str]
) -> list[ShardReport]:
    """Writes the shards that aren't finished, and waits for them.

    Args:
      tasks: the shards; their paths must be the same on all machines.
      runner: of Beam, by name.
      options: command-line options of the runner.

    Returns:
      The reports, read from beside the shards, in the order of the tasks.

    Raises:
      UserError: Apache Beam is not installed, has no such runner, or the shards can't be seen here.
    """
    beam = _beam()
    from apache_beam.options.pipeline_options import PipelineOptions

    flags = PipelineOptions(list(options), save_main_session=False)
    with beam.Pipeline(_runner(runner), flags) as pipeline:
        _ = (
            pipeline
            | beam.Create(list(tasks))
            # Without it runners would fuse all shards into one piece of work, on one machine.
            | beam.Reshuffle()
            | beam.Map(_write_unless_finished)
        )
    reports = [read_report(task) for task in tasks]
    if None in reports:
        raise UserError(
            "PrepareSpec.output must be a folder that all machines share. "
            f"Received: {tasks[reports.index(None)].path}, written elsewhere. Name a shared folder."
        )
    return reports


def _write_unless_finished(task: ShardTask) -> None:
    if finished_report(task):
        return
    worker = DecodingWorker()
    try:
        write_shard(task, worker, on_video=lambda: None)
    finally:
        worker.close()


def _beam() -> ModuleType:
    """Returns Apache Beam, which is imported only when asked for: it is an extra, and slow to import."""
    try:
        import apache_beam
    except ImportError as error:
        raise UserError(
            "PrepareSpec.runner other than 'local' needs Apache Beam. "
            f"Received: an installation without it ({error}). pip install 'official-vision[beam]'."
        ) from error
    return apache_beam


def _runner(name: str) -> Any:
    from apache_beam.runners.runner import create_runner

    # Beam's DirectRunner may fetch a program of another runner first; this is the part that runs here.
    qualified = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    try:
        return create_runner(qualified if name.lower() == "directrunner" else name)
    except (AttributeError, ImportError, ValueError) as error:
        raise UserError(
            "PrepareSpec.runner must be 'local' or a runner of Apache Beam. "
            f"Received: {name!r} ({error}). Mend the name."
        ) from error
