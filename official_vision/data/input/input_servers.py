"""Training batches that other machines make: several input servers, each a share, in the order of one pipeline.

    pipeline: steps 0 1 2 3 4 5 ...     server A: 0 2 4 ...     server B: 1 3 5 ...
    the training process takes one batch of each in turn

A server is a tf.data service of one dispatcher and one worker (`official-vision serve-input`). It gets the graph of
the pipeline, and so the seeds: batches are those that the training process would make, in the same order,
however many servers there are and however fast each is.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

import tensorflow as tf

from official_vision.errors import UserError, reason_of
from official_vision.processes.addresses import check_listening, is_address

_CONNECT_SEC = 10
_FORGET_MS = 60_000  # after which a server forgets the batches of a run that has ended
_HEARTBEAT_MS = (
    500  # between two questions of a worker whether there is work: a run's start waits for it
)


def from_servers(
    share: Callable[[int, int], tf.data.Dataset], servers: Sequence[str]
) -> tf.data.Dataset:
    """Returns the batches of a pipeline of which every server makes its share.

    Args:
      share: (number, count) -> the batches `number`, `number` + count, ... without end.
      servers: addresses, host:port.

    Raises:
      UserError: an address is none, or nothing listens there.
    """
    for address in servers:
        _check(address)
    service, name = tf.data.experimental.service, uuid.uuid4().hex
    parts = [
        share(number, len(servers)).apply(
            service.distribute(
                service.ShardingPolicy.OFF,
                f"grpc://{address}",
                job_name=f"{name}-{number}",
                # One consumer that reads in rounds: without it, order is up to the server's threads.
                consumer_index=0,
                num_consumers=1,
                compression=None,  # frames are noise to it, and it costs the training process more than the network
            )
        )
        for number, address in enumerate(servers)
    ]
    turns = tf.data.Dataset.range(len(servers)).repeat()
    return tf.data.Dataset.choose_from_datasets(parts, turns)


class InputServer:
    """A running server of batches, until it is collected.

    Attributes:
      address: for TrainSpec.input_servers.
    """

    def __init__(self, host: str, port: int):
        """Starts it.

        Args:
          host: name or address of this machine by which training processes reach it.
          port: to listen on, on every interface; 0 takes a free one.

        Raises:
          UserError: the port is taken.
        """
        service = tf.data.experimental.service
        settings = service.DispatcherConfig(
            port=port, job_gc_check_interval_ms=_FORGET_MS, job_gc_timeout_ms=_FORGET_MS
        )
        try:
            self._dispatcher = service.DispatchServer(settings)
        except tf.errors.OpError as error:
            raise UserError(
                f"--port must be free. Received: {port} ({reason_of(error)}). "
                "Name another, or leave it out."
            ) from error
        port = int(self._dispatcher.target.rpartition(":")[2])
        self.address = f"{host}:{port}"
        self._worker = service.WorkerServer(
            service.WorkerConfig(
                dispatcher_address=f"localhost:{port}",
                worker_address=f"{host}:%port%",
                heartbeat_interval_ms=_HEARTBEAT_MS,
            )
        )


def _check(address: str) -> None:
    if not is_address(address):
        raise UserError(
            f"TrainSpec.input_servers must be addresses host:port. Received: {address!r}. Write what "
            "official-vision serve-input printed."
        )
    try:
        check_listening(address, _CONNECT_SEC)
    except OSError as error:
        raise UserError(
            f"TrainSpec.input_servers must be reachable. Received: {address} ({error.strerror or error}). "
            "Start official-vision serve-input there, or leave it out."
        ) from error
