"""A run as its training loop sees it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import tensorflow as tf

from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.data.storage.index import Index
from official_vision.training.loggers.run_log import RunLog
from official_vision.training.resilience.stop_signals import StopRequest


@dataclasses.dataclass(frozen=True)
class Job:
    """A run as its training loop sees it, which may be entered several times.

    Attributes:
      config: every setting.
      architecture: the graph.
      indexes: of the train and validation data.
      strategy: of tf.distribute.
      stop: asks the run to end.
      log: its loggers.
      records: folder that this process writes to: the run's, or a passing one of a worker.
      stream: progress is shown here.
    """

    config: Config
    architecture: Architecture
    indexes: Mapping[str, Index]
    strategy: tf.distribute.Strategy
    stop: StopRequest
    log: RunLog
    records: Path
    stream: TextIO
