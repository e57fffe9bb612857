"""Work spread over processes, of which each may crash without taking the others along."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from official_vision.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerCrashedError(UserError):
    """A worker's process ended without a result, killed by a signal or by a library."""


def spread(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[Item, Result | UserError]]:
    """Yields (item, result) as results come; a UserError takes the place of the result that failed.

    Args:
      work: a function at the top level of a module; other exceptions than UserError are raised here.
      items: to work on, in order.
      workers: processes; 1 works in this process, one item after the other.
    """
    if workers == 1:
        for item in items:
            try:
                yield item, work(item)
            except UserError as error:
                yield item, error
        return
    waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
    results: queue.SimpleQueue[tuple[Item, Any]] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    stopped = threading.Event()
    for _ in range(min(workers, len(items))):
        arguments = (work, waiting, results, stopped)
        threading.Thread(target=_tend, args=arguments, daemon=True).start()
    try:
        for _ in items:
            item, result = results.get()
            if isinstance(result, BaseException) and not isinstance(result, UserError):
                raise result
            yield item, result
    finally:
        stopped.set()


def _tend(
    work: Callable[[Item], Result],
    waiting: queue.SimpleQueue[Item],
    results: queue.SimpleQueue[tuple[Item, Any]],
    stopped: threading.Event,
) -> None:
    """Keeps one process busy; a crash costs its item alone, and a fresh process goes on."""
    # Not forked: TensorFlow's threads would be missing in the copy.
    context, pool = multiprocessing.get_context("spawn"), None
    while not stopped.is_set():
        try:
            item = waiting.get_nowait()
        except queue.Empty:
            break
        pool = pool or ProcessPoolExecutor(1, context, _end_quietly_when_interrupted)
        try:
            results.put((item, pool.submit(work, item).result()))
        except BrokenProcessPool:
            pool.shutdown(wait=False)
            pool = None
            results.put((item, WorkerCrashedError("the worker's process crashed.")))
        except SystemExit:  # the worker was interrupted, and so is the caller
            results.put((item, KeyboardInterrupt()))
            break
        except Exception as error:  # raised again by `spread`, in the caller's thread
            results.put((item, error))
    if pool:
        pool.shutdown()


def _end_quietly_when_interrupted() -> None:
    """Ctrl-C reaches the workers as well: they clean up after themselves, and the caller says what happened."""
    signal.signal(signal.SIGINT, lambda *_: sys.exit(1))
