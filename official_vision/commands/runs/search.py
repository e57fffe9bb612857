"""Searches for a network's connections and peers: search --gin_file=FILE [--stage=search|derive|retrain|all].

SearchSpec.method one_shot trains an over-connected network, keeps what it chose and trains that; evolution
trains many graphs, each a mutation of an earlier one. Running the same command again continues the search.

The result, derived.json or best.json in SearchSpec.output, is an architecture like any other:
official-vision train --gin_file=FILE --gin_bindings='ModelSpec.architecture = "OUTPUT/derived.json"'.
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
    "Folder of a search or a run: only writes a page that shows it.",
)
flags.DEFINE_multi_string(
    "agreement", [], "Folders of searches, two or more: compares their results."
)
flags.DEFINE_multi_string(
    "compare",
    [],
    "Folders of evolutions, two or more: compares the results of each setting, over seeds.",
)
flags.DEFINE_string("picture", "", "With --compare: PNG file, figures by graphs tried and by cost.")


def main() -> None:
    """Searches, or reports on earlier searches."""
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
    # Imported after the settings are checked: a mistake gets its message before TensorFlow starts.
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
