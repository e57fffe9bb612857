"""Lists, shows and compares settings.

    config list                            gin files that come with the package, and networks by name
    config show [NAME ...]                 every setting with its default, choices and meaning
    config show --gin_file=FILE            every setting as gin files and bindings resolve it, as a gin file
    config show RUN                        every setting that a run's folder records, as a gin file
    config diff A B                        what differs between two gin files or runs' folders

A NAME is a spec, a setting or a part of one: `config show DataSpec`, `config show learning_rate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from absl import flags

from official_vision import cli, config, files, packaged
from official_vision.architecture import zoo
from official_vision.errors import UserError
from official_vision.specs import ALL, reference

cli.define_gin_flags()
flags.adopt_module_key_flags(cli)
_OUTPUT = flags.DEFINE_string(
    "output", None, "With show: Markdown file to write the reference of all settings to."
)

# What may be named without a flag.
ARGUMENTS = "list, show or diff, and names"


def main(words: Sequence[str]) -> None:
    """Prints what the first word names."""
    what, *names = words or [""]
    if what == "list" and not names:
        print("\n".join(_listed()))
    elif what == "show":
        _show(names)
    elif what == "diff" and len(names) == 2:
        print("\n".join(_differences(*map(_loaded, names))) or "no setting differs")
    else:
        raise UserError(
            "config takes list, show [NAME ...], or diff A B. "
            f"Received: {' '.join(words) or 'nothing'}. See --help."
        )


def _listed() -> Iterator[str]:
    yield "gin files, for --gin_file and include:"
    for path in packaged.gin_files():
        first = path.read_text(encoding="utf-8").split("\n", 1)[0]
        yield f"  {path.relative_to(packaged.gin_folder())}  {first.lstrip('# ')}"
    yield "\nnetworks, for ModelSpec.architecture and --architecture:"
    yield from (f"  {name}" for name in zoo.ZOO)


def _show(names: Sequence[str]) -> None:
    settings = flags.FLAGS
    if settings.gin_file or settings.gin_bindings:
        print(config.load(settings.gin_file, settings.gin_bindings).to_gin(), end="")
        return
    if _OUTPUT.value:
        files.check_writable(_OUTPUT.value, "--output")
        files.write_text(_OUTPUT.value, reference.to_markdown(ALL))
        return
    if len(names) == 1 and (Path(names[0]) / config.CONFIG_JSON).is_file():
        print(config.read(names[0]).to_gin(), end="")
        return
    text = reference.to_text(ALL, names)
    if not text:
        raise UserError(
            f"A word must be part of a setting's name. Received: {' '.join(names)}. Show all without a word."
        )
    print(text)


def _loaded(name: str) -> config.Config:
    """The settings of a run's folder or of a gin file."""
    return config.read(name) if Path(name).is_dir() else config.load([name])


def _differences(first: config.Config, second: config.Config) -> Iterator[str]:
    # Both have all settings in one order.
    lines = zip(first.to_gin().splitlines(), second.to_gin().splitlines(), strict=True)
    for before, after in lines:
        if before != after:
            yield f"{before.replace(' = ', ': ', 1)} -> {after.partition(' = ')[2]}"
