"""`official-vision COMMAND [flags]`: the table of sub-commands, and how one is started."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import NamedTuple

from official_vision import __version__, cli, extras
from official_vision.errors import UserError, nearest


class Command(NamedTuple):
    """A sub-command.

    Attributes:
      module: below official_vision.commands.
      summary: one line for the list of commands.
      extra: of pyproject.toml, with all that the command needs; empty where the core, or the part that a
        message names, is enough.
    """

    module: str
    summary: str
    extra: str = ""


COMMANDS = {
    "prepare": Command(
        "prepare", "videos and annotations to shards; --audit reports on a data set", "prepare"
    ),
    "train": Command("runs.train", "train a network, or go on with a run"),
    "serve-input": Command("serve_input", "make training batches for a run on another machine"),
    "search": Command("runs.search", "search for connections and peers: one-shot, or evolution"),
    "study": Command("runs.study", "train variants over several seeds and compare them"),
    "evaluate": Command("runs.evaluate", "figures of a run with intervals, class by class"),
    "recompute-norms": Command("runs.recompute_norms", "repair a run's batch statistics"),
    "convert": Command("runs.convert", "weights of other programs to a run"),
    "export": Command("models.export", "a run to SavedModel and TFLite files", "export"),
    "predict": Command("models.predict", "classify videos with an exported model"),
    "features": Command(
        "models.features", "what a network computes of videos before it classifies, to files"
    ),
    "explain": Command("models.explain", "what a score of a clip depends on, as a picture"),
    "demo": Command("demo", "try an exported model in the browser", "demo"),
    "serve-check": Command(
        "models.serve_check", "compare a running server with the exported model", "serving"
    ),
    "inspect": Command("inspect", "a network's shapes, cost and drawing, and what a run learned"),
    "benchmark": Command("benchmark", "measure training, inference, input and preparation here"),
    "config": Command("config", "list, show and compare gin files and settings"),
}


def start(module: ModuleType, extra: str = "") -> None:
    """Runs a sub-command's module with the flags of sys.argv, and ends the process with its status.

    Args:
      module: of the sub-command.
      extra: see `Command`.
    """
    arguments = getattr(module, "ARGUMENTS", "")
    cli.run(module.main, arguments=arguments, module=module.__name__, extra=extra)


def main() -> None:
    """Starts the sub-command that the first argument names: the console script official-vision."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in cli.HELP_FLAGS:
        print(_help())
    elif name == "--version":
        print(f"official-vision {__version__}")
    elif name in COMMANDS:
        sys.argv = [f"official-vision {name}", *sys.argv[2:]]
        start(_imported(COMMANDS[name]), COMMANDS[name].extra)
    else:
        raise SystemExit(cli.reported(_unknown(name)))


def _imported(command: Command) -> ModuleType:
    try:
        return importlib.import_module(f"official_vision.commands.{command.module}")
    except ModuleNotFoundError as error:
        if not (line := extras.missing(error, command.extra)):
            raise
        raise SystemExit(cli.reported(UserError(line))) from error


def _help() -> str:
    width = max(map(len, COMMANDS))
    return "\n".join(
        [
            "official-vision COMMAND [flags]: AssembleNet++ for video recognition.\n",
            *(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()),
            "\nofficial-vision COMMAND --help lists a command's flags.",
        ]
    )


def _unknown(name: str) -> UserError:
    return UserError(
        f"A command must be one of {', '.join(COMMANDS)}. Received: {name!r}. {nearest(name, COMMANDS)}"
    )
