"""Searches for a network's connections and peers: search --gin_file=FILE [--stage=search|derive|retrain|all].

Trains an over-connected network, keeps what it chose and trains that. Running the same command again
goes on where it was.

What is found, SearchSpec.output/derived.json, is an architecture like any other:
tools/train.py --gin_file=FILE --gin_bindings='ModelSpec.architecture = "OUTPUT/derived.json"'.
"""

from absl import flags

from official_vision import cli, config

cli.define_gin_flags()
flags.adopt_module_key_flags(cli)
flags.DEFINE_string("stage", "all", "search, derive, retrain or all.")
flags.DEFINE_string(
    "report",
    None,
    "Folder of a search or a run: writes a page that shows it, and does nothing else.",
)
flags.DEFINE_multi_string(
    "agreement", [], "Folders of searches, two or more: tells how far what they found agrees."
)


def main() -> None:
    """Searches, or tells about searches that were made."""
    asked = flags.FLAGS
    if asked.report:
        from official_vision.search.report import write_report

        print(write_report(asked.report))
        return
    if asked.agreement:
        from official_vision.search.agreement import describe_agreement

        print(describe_agreement(asked.agreement))
        return
    settings = config.load(asked.gin_file, asked.gin_bindings)
    # Imported after the settings are checked: a mistake is answered before TensorFlow starts.
    from official_vision.search.one_shot import one_shot

    print(one_shot(settings, asked.stage))


if __name__ == "__main__":
    cli.run(main)
