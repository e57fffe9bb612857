"""Trains a network: train --gin_file=FILE [--gin_bindings='TrainSpec.steps = 100'].

Running the same command again continues from the newest checkpoint of TrainSpec.model_dir.
"""

from absl import flags

from official_vision import cli, config, files

cli.define_gin_flags()
flags.adopt_module_key_flags(cli)
_ALLOW_CHANGES = flags.DEFINE_bool(
    "allow_changes",
    False,
    "Go on also with settings that change what the run's weights mean (frames, size, normalisation, ...), or on "
    "other data of the same classes; each change is named and recorded.",
)


def main() -> None:
    """Trains, then reports the result."""
    settings = config.load(flags.FLAGS.gin_file, flags.FLAGS.gin_bindings)
    if settings.train.model_dir:
        files.check_folder_writable(settings.train.model_dir, "TrainSpec.model_dir")
    # Imported after the settings are checked: a mistake gets its message before TensorFlow starts.
    from official_vision.data.input.server_watch import watch_servers
    from official_vision.training.run import summary_line, train

    watch_servers(settings.train.input_servers)
    result = train(settings, allow_changes=_ALLOW_CHANGES.value)
    print(summary_line(result))
