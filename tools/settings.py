"""Prints every setting with its default, allowed values and meaning: settings [NAME ...] [--output=docs/settings.md].

A NAME is a spec, a setting or a part of one: `settings DataSpec`, `settings learning_rate`.
"""

from collections.abc import Sequence

from absl import flags

from official_vision import cli, files
from official_vision.errors import UserError
from official_vision.specs import ALL, reference

_OUTPUT = flags.DEFINE_string("output", None, "Markdown file to write the whole reference to.")


def main(named: Sequence[str]) -> None:
    """Prints the settings whose names contain one of the words, or all; or writes the page."""
    if _OUTPUT.value:
        files.check_writable(_OUTPUT.value, "--output")
        files.write_text(_OUTPUT.value, reference.to_markdown(ALL))
        return
    text = reference.to_text(ALL, named)
    if not text:
        raise UserError(
            f"A setting's name must hold the word. Received: {' '.join(named)}. Print all without a word."
        )
    print(text)


if __name__ == "__main__":
    cli.run(main, arguments="names")
