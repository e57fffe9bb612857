"""Settings of a training run."""

from __future__ import annotations

import dataclasses

from official_vision.specs.spec import Spec, setting


@dataclasses.dataclass(frozen=True)
class TrainSpec(Spec):
    """A training run.

    Attributes:
      model_dir: folder of checkpoints, summaries and the resolved configuration.
      steps: training steps in all; a resumed run stops at the same step.
      steps_per_loop: steps between two progress reports.
      validation_interval: steps between evaluations.
      checkpoint_interval: steps between checkpoints.
      connections_interval: steps between records of connection strengths and peers, in learned.jsonl
        and TensorBoard.
      pictures: whether samples and the graph are drawn for TensorBoard at the start and at evaluations,
        and summary.png at the end.
      checkpoints_kept: number of newest checkpoints that stay on disk.
      best_metric: evaluation figure that decides the best checkpoint, e.g. mAP, charades_mAP or top_1.
      accumulation_steps: parts of a batch, computed in sequence, whose gradients make one step: the
        memory of a part. Batch norm sees the parts, and counts each as a batch in its moving averages.
      rematerialise: what the backward pass computes again instead of storing it, with the same gradients.
        norms: inside stems and residual modules, of bottleneck networks on one device; for a tenth more arithmetic.
        everything: inside blocks and stems; for a third more arithmetic.
      frozen: regular expressions over names of weights (node_00/spatial/kernel); those neither move nor
        decay, and a batch norm frozen whole runs with its moving statistics. '^(?!head)' trains the
        classifier alone.
      precise_batch_norm_batches: training batches over which batch norm's means and variances are recomputed
        with the current weights before each evaluation, so before the best checkpoint is chosen, and at the end;
        0 leaves it at moving averages.
      loggers: where losses, learning rates and figures are written, by the first worker alone. csv: training.csv and
        evaluations.csv in model_dir. tensorboard: summaries in model_dir/train and model_dir/validation. mlflow: a
        run of MLflow, in the store MLFLOW_TRACKING_URI or the folder model_dir/mlruns. wandb: a run of Weights &
        Biases, which WANDB_MODE=offline writes into model_dir/wandb.
      norms_interval: progress reports between measurements of the gradient's norm and of each step's share
        of the weights, by group of weights (stem_rgb, level_1, strengths); 0 measures none. The step that is
        measured takes a copy of the weights, and its graph is traced once more.
      early_stopping_patience: evaluations in a row without improvement after which a run ends; 0 never ends it early.
      early_stopping_figure: evaluation figure that is to improve; empty takes best_metric.
      early_stopping_mode: max or min of the figure is the better; auto takes min for a loss.
      early_stopping_min_delta: least change of the figure that counts as an improvement.
      deterministic: whether TensorFlow's operations give the same bits in every run on the same machine, as
        slow as that may be on a GPU; for all of the process. Some operations are refused then.
      init_checkpoint: checkpoint or model folder to start from; empty starts afresh.
      init_classifier: whether the classifier begins with init_checkpoint's too, where it has the same classes;
        False trains a new one.
      rollbacks: times that a run may go back to its last checkpoint and leave out a batch on which the
        loss or the gradients were not finite; 0 stops at the first.
      held_out_clips: clips of the validation data that are stored in the run's folder, evenly spread over the videos:
        exports are checked and int8 is calibrated on them, also where the data are gone; 0 stores none.
      held_out_megabytes: most megabytes of them; where all are larger, fewer are stored.
      devices: auto (all GPUs that TensorFlow sees, else the CPU), cpu, or a number of GPUs. Several share each
        batch.
      strategy: of tf.distribute: auto (one_device, of several GPUs mirrored), one_device, mirrored (of GPUs, or of
        the logical devices of a CPU), multi_worker_mirrored or tpu.
      compiled: whether XLA compiles the training step as a whole, which takes tens of seconds at the start and
        is quicker on GPUs. None is True on a TPU, which can do nothing else, and False elsewhere.
      tpu: address of the TPU; read by strategy tpu only.
      precision: float32, mixed_bfloat16 or mixed_float16 (with loss scaling).
      exchange_precision: float32, or bfloat16: in which several devices exchange their gradients, half the bytes
        between machines for sums that are rounded.
      input_servers: addresses host:port of official-vision serve-input on machines that see train/DataSpec.path: they
        make the training batches, the same ones in the same order; none leaves it to this machine.
      threads_per_operation: threads that share an operation; 0 is one where a machine without GPU has no
        more than two cores (of more, TensorFlow's choice) and TF_NUM_INTRAOP_THREADS is not set. Not
        read with strategy tpu.
      seed: seed of weight initialisation and dropout.
    """

    model_dir: str = ""
    steps: int = setting(1000, low=1)
    steps_per_loop: int = setting(20, low=1)
    validation_interval: int = setting(500, low=1)
    checkpoint_interval: int = setting(500, low=1)
    connections_interval: int = setting(100, low=1)
    pictures: bool = True
    checkpoints_kept: int = setting(3, low=1)
    best_metric: str = "mAP"
    accumulation_steps: int = setting(1, low=1)
    rematerialise: str = setting("nothing", choices=("nothing", "norms", "everything"))
    frozen: tuple[str, ...] = ()
    precise_batch_norm_batches: int = setting(10, low=0)
    loggers: tuple[str, ...] = setting(
        ("csv", "tensorboard"), choices=("csv", "tensorboard", "mlflow", "wandb")
    )
    norms_interval: int = setting(0, low=0)
    early_stopping_patience: int = setting(0, low=0)
    early_stopping_figure: str = ""
    early_stopping_mode: str = setting("auto", choices=("auto", "max", "min"))
    early_stopping_min_delta: float = setting(0.0, low=0)
    deterministic: bool = False
    init_checkpoint: str = ""
    init_classifier: bool = True
    rollbacks: int = setting(0, low=0)
    held_out_clips: int = setting(16, low=0)
    held_out_megabytes: float = setting(50.0, above=0)
    devices: int | str = setting("auto", low=1, choices=("auto", "cpu"))
    strategy: str = setting(
        "auto", choices=("auto", "one_device", "mirrored", "multi_worker_mirrored", "tpu")
    )
    compiled: bool | None = None
    tpu: str = ""
    precision: str = setting("float32", choices=("float32", "mixed_bfloat16", "mixed_float16"))
    exchange_precision: str = setting("float32", choices=("float32", "bfloat16"))
    input_servers: tuple[str, ...] = ()
    threads_per_operation: int = setting(0, low=0, high=1024)
    seed: int = setting(0, low=0, high=2**32 - 1)
