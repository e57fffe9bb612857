"""Trains a network: train --gin_file=FILE [--gin_bindings='TrainSpec.steps = 100'].

Running the same command again goes on from the newest checkpoint of TrainSpec.model_dir.
"""

from absl import flags

from official_vision import cli, config, files

cli.define_gin_flags()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Trains, then says what was reached."""
    settings = config.load(flags.FLAGS.gin_file, flags.FLAGS.gin_bindings)
    if settings.train.model_dir:
        files.check_folder_writable(settings.train.model_dir, "TrainSpec.model_dir")
    # Imported after the settings are checked: a mistake is answered before TensorFlow starts.
    from official_vision.training.run import summary_line, train

    print(summary_line(train(settings), settings.train.best_metric))


if __name__ == "__main__":
    cli.run(main)
