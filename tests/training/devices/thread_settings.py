"""Prints the thread counts that runs set up, each in a fork: SETTINGS as a JSON list."""

from __future__ import annotations

import functools
import json
import os
import sys

import tensorflow as tf

from official_vision import config
from official_vision.errors import UserError
from official_vision.training.devices import threads
from official_vision.training.run import train


def main():
    for begun, chosen, cores, per_operation, variable in json.loads(sys.argv[1]):
        if os.fork():
            assert os.wait()[1] == 0
            continue
        os.environ.pop("TF_NUM_INTRAOP_THREADS", None)
        if variable:
            os.environ["TF_NUM_INTRAOP_THREADS"] = variable
        threads.usable_cores = functools.partial(int, cores)
        tf.config.threading.set_intra_op_parallelism_threads(chosen)
        if begun:
            tf.ones(1).numpy()
        settings = {
            "model_dir": "'run'",
            "strategy": "'mirrored'",
            "threads_per_operation": per_operation,
        }
        try:
            train(config.load([], [f"TrainSpec.{k} = {v}" for k, v in settings.items()]))
        except UserError as error:
            print(error)
        print(tf.config.threading.get_intra_op_parallelism_threads(), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main()
