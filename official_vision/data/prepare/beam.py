"""Preparation on Apache Beam: every shard is one element, written by the machine that gets it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from official_vision.data.prepare.decoding_worker import DecodingWorker, WorkerStoppedError
from official_vision.data.prepare.shard_task import (
    ShardReport,
    ShardTask,
    finished_report,
    read_report,
    write_shard,
)
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec

_WATCH_INTERVAL_SEC = 1.0
_CLEANING_SEC = 30.0


def write_shards(
    tasks: Sequence[ShardTask], spec: PrepareSpec, on_video: Callable[[], None]
) -> list[ShardReport]:
    """Writes the shards that aren't finished, and waits for them.

    Args:
      tasks: the shards; their paths must be the same on all machines.
      spec: names the runner of Beam, its command-line options, and how many processes DirectRunner has.
      on_video: called for each video: as soon as it is stored where this process directs that, else
        when its shard is finished.

    Returns:
      The reports, read from beside the shards, in the order of the tasks.

    Raises:
      UserError: Apache Beam is not installed, has no such runner, or the shards can't be seen here.
    """
    waiting = [task for task in tasks if not finished_report(task)]
    with _watched(tasks, on_video) as count_video:
        if waiting:  # runners take their time to start
            with _served_here(waiting, count_video):
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
        [*_default_options(spec, len(tasks)), *spec.runner_options], save_main_session=False
    )
    if _is_direct(spec.runner):
        _hush()
    with beam.Pipeline(_runner(spec.runner), flags) as pipeline:
        _ = (
            pipeline
            | beam.Create(list(tasks))
            # Without it runners would fuse all shards into one piece of work, on one machine.
            | beam.Reshuffle()
            | beam.Map(_write_unless_finished)
        )


def _default_options(spec: PrepareSpec, shards: int) -> list[str]:
    """Returns options that the user's, which follow them, override."""
    if not _is_direct(spec.runner):
        return []
    # Threads are enough: each hands its videos to a decoding process. Processes of Beam would
    # each import everything again.
    return [
        "--direct_running_mode=multi_threading",
        f"--direct_num_workers={min(spec.workers, shards)}",
        "--default_sdk_harness_log_level=WARNING",
    ]


def _is_direct(runner: str) -> bool:
    return runner.lower() == "directrunner"


def _hush() -> None:
    """Keeps Beam's messages back: failures become exceptions, and interrupted threads would print theirs too."""
    from apache_beam.runners.worker import sdk_worker

    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    # It prints besides logging; `print` is looked up in its module before the built-in one.
    sdk_worker.print = lambda *_, **__: None


@contextlib.contextmanager
def _watched(
    tasks: Sequence[ShardTask], on_video: Callable[[], None]
) -> Iterator[Callable[[ShardTask], None]]:
    """Calls `on_video` for the videos of shards as they appear: runners report nothing before the end.

    Yields a function to count a video of a shard earlier.
    """
    pending, ended, lock = (
        {task.path: len(task.rows) for task in tasks},
        threading.Event(),
        threading.Lock(),
    )

    def count(path: str, most: int) -> None:
        with lock:
            number = min(most, pending[path])
            pending[path] -= number
        for _ in range(number):
            on_video()

    def count_finished() -> None:
        for task in tasks:
            if pending[task.path] and read_report(task):
                count(task.path, len(task.rows))

    def watch() -> None:
        while not ended.wait(_WATCH_INTERVAL_SEC):
            count_finished()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda task: count(task.path, 1)
    finally:
        ended.set()
        thread.join()
    count_finished()


class _Decoders:
    """Decoding processes of this process's threads: as many as threads write at once, reused for later shards."""

    def __init__(self, count_video: Callable[[ShardTask], None]):
        self._count_video = count_video
        self._all: list[DecodingWorker] = []
        self._idle: list[DecodingWorker] = []
        self._state = threading.Condition()
        self._ended = False
        self.failure: Exception | None = None

    def write(self, task: ShardTask) -> None:
        """Writes a shard; once one has failed, or after `close`, does nothing.

        A failure is stored instead of raised: runners would hide it in another text.
        """
        with self._state:
            if self._ended or self.failure:
                return
            if not self._idle:
                self._idle.append(DecodingWorker())
                self._all += self._idle
            worker = self._idle.pop()
        try:
            write_shard(task, worker, lambda: self._count_video(task))
        except WorkerStoppedError:
            pass  # the run is ending, and reports the reason
        except Exception as error:
            self.failure = error
        finally:
            with self._state:
                self._idle.append(worker)
                self._state.notify_all()

    def close(self) -> None:
        """Ends the decoders, and waits until the threads that used them have cleaned up."""
        with self._state:
            self._ended = True
        for worker in self._all:
            worker.close()
        with self._state:
            self._state.wait_for(lambda: len(self._idle) == len(self._all), _CLEANING_SEC)


# Runners pass on shards, not objects of this process: its threads look them up here by the shard.
_DECODERS: dict[str, _Decoders] = {}


@contextlib.contextmanager
def _served_here(
    tasks: Sequence[ShardTask], count_video: Callable[[ShardTask], None]
) -> Iterator[None]:
    decoders = _Decoders(count_video)
    _DECODERS.update({task.path: decoders for task in tasks})
    try:
        yield
    finally:
        # On Ctrl-C the decoders are ended first, so that the threads see it and clean up after them.
        decoders.close()
    # Not on Ctrl-C: threads that are left behind find the ended decoders, and do nothing more.
    for task in tasks:
        del _DECODERS[task.path]
    if decoders.failure:
        raise decoders.failure


def _write_unless_finished(task: ShardTask) -> None:
    if finished_report(task):
        return
    if task.path in _DECODERS:
        _DECODERS[task.path].write(task)
        return
    worker = DecodingWorker()  # in another process or on another machine
    try:
        write_shard(task, worker, on_video=lambda: None)
    finally:
        worker.close()


def _beam() -> ModuleType:
    """Returns Apache Beam, imported only when there is work: it takes seconds."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it warns of cloud services that are not used
    try:
        import apache_beam
        import apache_beam.options.pipeline_options
        import apache_beam.runners.portability.fn_api_runner
    except ImportError as error:
        raise UserError(
            "Preparing videos needs Apache Beam. "
            f"Received: an installation without it ({error}). pip install apache-beam."
        ) from error
    finally:
        logging.disable(before)
    return apache_beam


def _runner(name: str) -> Any:
    from apache_beam.runners.runner import create_runner

    # Beam's DirectRunner may fetch a program of another runner first; this is the part that runs here.
    qualified = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    try:
        return create_runner(qualified if _is_direct(name) else name)
    except (AttributeError, ImportError, ValueError) as error:
        raise UserError(
            "PrepareSpec.runner must be a runner of Apache Beam. "
            f"Received: {name!r} ({error}). Mend the name."
        ) from error
