"""Preparation on Apache Beam: every shard is one element, written by whichever machine gets it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
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
from official_vision.specs import PrepareSpec

_WATCH_INTERVAL_SEC = 1.0


def write_shards(
    tasks: Sequence[ShardTask], spec: PrepareSpec, on_video: Callable[[], None]
) -> list[ShardReport]:
    """Writes the shards that aren't finished, and waits for them.

    Args:
      tasks: the shards; their paths must be the same on all machines.
      spec: names the runner of Beam, its command-line options, and how many processes DirectRunner has.
      on_video: called for each video of a shard when the shard is finished.

    Returns:
      The reports, read from beside the shards, in the order of the tasks.

    Raises:
      UserError: Apache Beam is not installed, has no such runner, or the shards can't be seen here.
    """
    waiting = [task for task in tasks if not finished_report(task)]
    with _watched(tasks, on_video):
        if waiting:  # runners take their time to start
            _run(waiting, spec)
    reports = [read_report(task) for task in tasks]
    if None in reports:
        raise UserError(
            "PrepareSpec.output must be a folder that all machines share. "
            f"Received: {tasks[reports.index(None)].path}, written elsewhere. Name a shared folder."
        )
    return reports


def _run(tasks: Sequence[ShardTask], spec: PrepareSpec) -> None:
    beam = _beam()
    from apache_beam.options.pipeline_options import PipelineOptions

    flags = PipelineOptions(
        [*_default_options(spec), *spec.runner_options], save_main_session=False
    )
    with beam.Pipeline(_runner(spec.runner), flags) as pipeline:
        _ = (
            pipeline
            | beam.Create(list(tasks))
            # Without it runners would fuse all shards into one piece of work, on one machine.
            | beam.Reshuffle()
            | beam.Map(_write_unless_finished)
        )


def _default_options(spec: PrepareSpec) -> list[str]:
    """Options that the user's own, which come after them, override."""
    if not _is_direct(spec.runner):
        return []
    return [
        "--direct_running_mode=multi_processing",
        f"--direct_num_workers={spec.workers}",
        "--default_sdk_harness_log_level=WARNING",
    ]


def _is_direct(runner: str) -> bool:
    return runner.lower() == "directrunner"


@contextlib.contextmanager
def _watched(tasks: Sequence[ShardTask], on_video: Callable[[], None]) -> Iterator[None]:
    """Calls `on_video` for the videos of shards as they appear: runners tell nothing before the end."""
    pending, ended = list(tasks), threading.Event()

    def count_finished() -> None:
        for task in [task for task in pending if read_report(task)]:
            pending.remove(task)
            for _ in task.rows:
                on_video()

    def watch() -> None:
        while not ended.wait(_WATCH_INTERVAL_SEC):
            count_finished()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    count_finished()


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
        return create_runner(qualified if _is_direct(name) else name)
    except (AttributeError, ImportError, ValueError) as error:
        raise UserError(
            "PrepareSpec.runner must be 'local' or a runner of Apache Beam. "
            f"Received: {name!r} ({error}). Mend the name."
        ) from error
