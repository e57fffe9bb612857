"""Work spread over processes, any of which may crash without ending the others."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Generic, TypeVar

from official_vision.errors import UserError
from official_vision.processes.start import SPAWN

Item = TypeVar("Item")
Result = TypeVar("Result")


_place = (0, 1)


class WorkerCrashedError(UserError):
    """A worker process ended without a result, killed by a signal or by a library."""


def worker_place() -> tuple[int, int]:
    """Returns the number of this process among the workers of its pool, and how many they are.

    (0, 1) in a process that is no worker. A replaced process has the number of the one before it.
    """
    return _place


def spread(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[tuple[Item, Result | UserError]]:
    """Yields (item, result) as results arrive; of a failed item, a UserError in place of the result.

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
    results: queue.SimpleQueue[tuple[Item, Future[Result]]] = queue.SimpleQueue()
    with Workers(work, min(workers, len(items))) as processes:
        for item in items:
            future = processes.submit(item)
            future.add_done_callback(lambda done, item=item: results.put((item, done)))
        for _ in items:
            item, done = results.get()
            try:
                yield item, done.result()
            except UserError as error:
                yield item, error


class Workers(Generic[Item, Result]):
    """Processes that stay warm between items; one that crashes is replaced, at the cost of only its item.

    As a context manager it ends them: what is being worked on is interrupted, what waits is dropped.
    """

    def __init__(self, work: Callable[[Item], Result], count: int, items_per_process: int = 0):
        """
        Args:
          work: is pickled, and called in the processes.
          count: of processes.
          items_per_process: after which a process is replaced; 0 for never.
        """
        self._work = work
        self._items_per_process = items_per_process
        self._waiting: queue.SimpleQueue[tuple[Item, Future[Result]] | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._working: set[int] = set()  # process ids
        self._threads = [
            threading.Thread(target=self._tend, args=((number, count),), daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, item: Item) -> Future[Result]:
        """Begins the item's work when a process is free; a crash makes it a `WorkerCrashedError`."""
        future: Future[Result] = Future()
        self._waiting.put((item, future))
        return future

    def __enter__(self) -> Workers[Item, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for _ in self._threads:
            self._waiting.put(None)
        for process in tuple(self._working):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        # Python joins them when it ends as well, but prints a traceback where a pool is closing just then.
        for thread in self._threads:
            thread.join()

    def _tend(self, place: tuple[int, int]) -> None:
        """Keeps one process of the pool busy, and replaces it when it ends."""
        while not self._stopped.is_set() and (taken := self._waiting.get()) is not None:
            self._live(place, taken)

    def _live(self, place: tuple[int, int], taken: tuple[Item, Future[Result]] | None) -> None:
        """Begins a process, and gives it items until it has done its share, crashes or is stopped."""
        pool, done = ProcessPoolExecutor(1, SPAWN, _begin_process, (place,)), 0
        try:
            while taken is not None:
                self._do(pool, *taken)
                done += 1
                if done == self._items_per_process or self._stopped.is_set():
                    return
                taken = self._waiting.get()
        except BrokenProcessPool:
            taken[1].set_exception(WorkerCrashedError("the worker's process crashed."))
        finally:
            pool.shutdown()

    def _do(self, pool: ProcessPoolExecutor, item: Item, future: Future[Result]) -> None:
        process = 0
        try:
            process = pool.submit(os.getpid).result()
            self._working.add(process)
            # Looked at after `add`, as `__exit__` looks after setting it: one of the two sees the other.
            if self._stopped.is_set():
                raise KeyboardInterrupt
            future.set_result(pool.submit(self._work, item).result())
        except BrokenProcessPool:
            raise
        except SystemExit:  # the worker was interrupted, and so is the caller
            self._stopped.set()
            future.set_exception(KeyboardInterrupt())
        except BaseException as error:
            future.set_exception(error)
        finally:
            self._working.discard(process)


def _begin_process(place: tuple[int, int]) -> None:
    """Begins a process that cleans up when it is ended and doesn't outlive its caller."""
    global _place
    _place = place
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_quietly)
    threading.Thread(target=_end_with_caller, daemon=True).start()


def _end_quietly(*_: object) -> None:
    # Ctrl-C reaches workers and caller alike, and the caller ends them besides: once is enough.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # SIG_IGN would print that a signal raced with it
    sys.exit(1)


def _end_with_caller() -> None:
    """Ends the process with its caller: a killed one leaves the pipe of its items open, which would wait for ever."""
    # Python runs handlers in the main thread, whose sleep a signal to another thread doesn't end.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    caller = multiprocessing.parent_process()
    if caller is not None:
        caller.join()
        os._exit(1)
