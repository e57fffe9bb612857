"""Searches for a network's connections and peers: search --gin_file=FILE [--stage=search|derive|retrain|all].

SearchSpec.method one_shot trains an over-connected network, keeps what it chose and trains that; evolution
trains many graphs, each a changed one of those before it. Running the same command again goes on where it was.

What is found, derived.json or best.json in SearchSpec.output, is an architecture like any other:
tools/train.py --gin_file=FILE --gin_bindings='ModelSpec.architecture = "OUTPUT/derived.json"'.
"""

from absl import flags

from official_vision import cli, config, files
from official_vision.errors import UserError

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
flags.DEFINE_multi_string(
    "compare",
    [],
    "Folders of evolutions, two or more: tells what each setting found, over seeds.",
)
flags.DEFINE_string("picture", "", "With --compare: PNG file, figures by graphs tried and by cost.")


def main() -> None:
    """Searches, or tells about searches that were made."""
    options = flags.FLAGS
    if options.picture:
        files.check_writable(options.picture, "--picture")
    if options.report:
        files.check_folder_writable(options.report, "--report")
        from official_vision.search.report import write_report

        print(write_report(options.report))
        return
    if options.agreement:
        from official_vision.search.agreement import describe_agreement

        print(describe_agreement(options.agreement))
        return
    if options.compare:
        from official_vision.search.evolution.comparison import compare_evolutions

        print(compare_evolutions(options.compare, options.picture))
        return
    settings = config.load(options.gin_file, options.gin_bindings)
    if settings.search.output:
        files.check_folder_writable(settings.search.output, "SearchSpec.output")
    # Imported after the settings are checked: a mistake is answered before TensorFlow starts.
    if settings.search.method == "evolution":
        _refuse_stage(options.stage)
        from official_vision.search.evolution.evolution_search import evolve

        print(evolve(settings))
        return
    from official_vision.search.one_shot import one_shot

    print(one_shot(settings, options.stage))


def _refuse_stage(stage: str) -> None:
    if stage != "all":
        raise UserError(
            f"An evolution has no stages. Received: --stage={stage}. Leave it away, or set "
            "SearchSpec.method = 'one_shot'."
        )


if __name__ == "__main__":
    cli.run(main)
