"""The common part of the commands in tools/: flags, quiet start, and one clear line on failure."""

from __future__ import annotations

import errno
import gc
import io
import itertools
import math
import os
import sys
from collections.abc import Callable, Sequence

# TensorFlow reads this when it is imported: without it a command's output drowns in start-up notes,
# an "error" about the missing GPU of every CPU machine among them. Failures are raised all the same.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app, flags, logging

from official_vision import extras, files, interruption
from official_vision.errors import StoppedError, UserError

INTERRUPTED = 130  # what shells report for a program ended by Ctrl-C
TERMINATED = 143  # likewise for SIGTERM: a run has saved its state before it ends
PIPE_CLOSED = 141  # likewise for SIGPIPE
SOME_LEFT_OUT = 3  # the work is done, but for the items that were named


# Python looks for garbage after every 700 new objects by default. Importing TensorFlow and tracing a
# network make millions that stay: a twentieth of the processor time to the first training step went into looking.
_GARBAGE_THRESHOLDS = (100_000, 50, 50)

# Errors of the machine in any command: one line is enough.
_REFUSED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.EIO, errno.ELOOP),
    # Files of another kind than the name says, and files that were removed or added meanwhile.
    *(errno.EISDIR, errno.ENOTDIR, errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ESTALE),
    *(errno.EMFILE, errno.ENFILE, errno.EBUSY, errno.ETXTBSY, errno.ENXIO),
)
HELP_FLAGS = ("-h", "--help", "-help", "--helpshort", "-helpshort", "--helpfull", "-helpfull")


def define_gin_flags() -> None:
    """Defines --gin_file and --gin_bindings, which can be repeated, and --settings."""
    flags.DEFINE_multi_string(
        "gin_file", [], "Gin file to read; later files win over earlier ones."
    )
    flags.DEFINE_multi_string(
        "gin_bindings", [], "One setting, e.g. 'ModelSpec.depth = 26'; wins over every file."
    )
    flags.DEFINE_bool(
        "settings", False, "Print every setting, its default and what it means, and end."
    )


def run(
    main: Callable[..., int | None], *, arguments: str = "", module: str = "", extra: str = ""
) -> None:
    """Runs a command, whose `main` returns its exit status (None is 0).

    A `UserError` becomes one line on standard error and status 1, and so does a full disk or a file that the
    system refuses; Ctrl-C becomes status 130; SIGTERM, where a command saves its work, 143 (training saves upon
    Ctrl-C too). Other exceptions are defects of ours and keep their traceback. --help and -h end with status 0.

    Args:
      main: of the command; with `arguments` it takes a list of them.
      arguments: what may be named without a flag, e.g. "videos"; empty where nothing may.
      module: whose docstring and flags --help prints; empty for the program itself.
      extra: of pyproject.toml, with all that the command needs; see `extras.missing`.
    """
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    logging.set_verbosity(logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the terminal has no letters for
            stream.reconfigure(errors="backslashreplace")
    help_flags = [
        word
        for word in itertools.takewhile(lambda x: x != "--", sys.argv[1:])
        if word in HELP_FLAGS
    ]
    if help_flags:
        _print_help(module, whole="full" in help_flags[0])
        sys.exit(0)
    flags.FLAGS.set_gnu_getopt(True)  # flags may follow arguments
    app.run(lambda argv: _guarded(main, argv, arguments, extra))


def _print_help(module: str, *, whole: bool) -> None:
    if whole or not module:
        app.usage(shorthelp=not whole, writeto_stdout=True)
        return
    print(
        f"{sys.argv[0]}\n\n{sys.modules[module].__doc__}\n\nflags:\n{flags.FLAGS.module_help(module)}"
    )


def reported(error: UserError) -> int:
    """Prints a user's mistake as every command does; returns the exit status."""
    _say(f"error: {error}")
    return 1


def _guarded(
    main: Callable[..., int | None], argv: Sequence[str], arguments: str, extra: str
) -> None:
    try:
        with interruption.interruptible():
            status = _begun(main, argv, arguments)
            sys.stdout.flush()
    except UserError as error:
        status = reported(error)
    except StoppedError as stopped:
        _say(f"stopped: {stopped}")
        status = INTERRUPTED if stopped.by_user else TERMINATED
    except KeyboardInterrupt:
        _say("interrupted: nothing half-written is left; run the same command to go on.")
        status = INTERRUPTED
    except BrokenPipeError:  # who reads what is printed, e.g. `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = PIPE_CLOSED
    except ModuleNotFoundError as error:
        if not (line := extras.missing(error, extra)):
            raise
        status = reported(UserError(line))
    except Exception as error:
        reason = _refusal(error)
        if not reason:
            raise
        _say(
            f"error: The system must let files be read and written. Received: {reason}. Mend it, and run it again."
        )
        status = 1
    sys.exit(status or 0)


def _begun(main: Callable[..., int | None], argv: Sequence[str], arguments: str) -> int | None:
    if "settings" in flags.FLAGS and flags.FLAGS.settings:
        from official_vision.specs import ALL, reference

        print(reference.to_text(ALL))
        return 0
    _check_numbers()
    if arguments:
        return main(argv[1:])
    if len(argv) > 1:
        raise UserError(
            f"Settings are given as flags. Received: {argv[1]!r}. See {argv[0]} --help."
        )
    return main()


def _check_numbers() -> None:
    """Refuses NaN, which passes every bound of a flag, and infinity."""
    for name in flags.FLAGS:
        value = flags.FLAGS[name].value
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{name} must be a finite number. Received: {value}. Give another.")


def _refusal(error: Exception) -> str:
    """Returns the refused operation and the reason; empty for any other error."""
    reason = files.full_disk_reason(error)
    if isinstance(error, OSError) and error.errno in _REFUSED:
        reason = error.strerror
    # The second name is the one that a file was to get.
    name = getattr(error, "filename2", None) or getattr(error, "filename", None) or "a file"
    return f"{name} ({reason})" if reason else ""


def _say(text: str) -> None:
    """Prints on standard error, where a message of several lines becomes one."""
    print(" ".join(text.split("\n")), file=sys.stderr)
