"""Times programs and torchvision's video networks in a bounded time, each in a process that ends at its limit.

    python -m tools.accelerator FOLDER [FOLDER ...] [--limit_s=480] [--json=results.json]

Programs are those of official-vision benchmark --what=program. This runs tools/run_program.py for each of them, the
most important first, and tools/run_torch.py for networks of torchvision with clips, batches and precisions like
theirs, where torch and torchvision are installed. Nothing else of this repository is needed. A line is printed and
--json written after each; one that does not end, or for which memory is too small, leaves the others their time.
Status 1: a check failed, or nothing was timed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

# Started by its path, a script is searched for imports beside itself, not in the folder above.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from tools.run_program import HEADER, MistakeError, in_order, read_folders, row_text, write_json

TOOLS = pathlib.Path(__file__).resolve().parent
PROBE_LIMIT_SEC = 120.0
_OF_A_CASE = ("pass", "precision", "clips", "frames", "size")


def cases_of(
    programs: Sequence[dict[str, Any]], networks: Sequence[str]
) -> list[tuple[dict[str, Any], list[str]]]:
    """Returns the cases in order, each with its module and arguments.

    Args:
      programs: signatures, as run_program.py reads them.
      networks: of torchvision, which follow the last program of each kind: pass, precision and size of a batch.
    """
    cases: list[tuple[dict[str, Any], list[str]]] = []
    ordered = in_order(programs)
    for number, program in enumerate(ordered):
        name = f"--only=^{re.escape(program['name'])}$"
        cases.append((program, ["tools.run_program", program["folder"], "--all", name]))
        kind = {key: program[key] for key in _OF_A_CASE}
        is_last = all(any(other[k] != kind[k] for k in kind) for other in ordered[number + 1 :])
        if is_last and "check" not in program:
            flags = [f"--{key}={value}" for key, value in kind.items()]
            for network in networks:
                row = {"name": f"{network}_{kind['pass']}_{kind['precision']}_{kind['clips']}"}
                cases.append(({**kind, **row}, ["tools.run_torch", network, *flags]))
    return cases


def in_process(words: Sequence[str], limit: float) -> tuple[str, str]:
    """Runs a module of this repository; returns what it printed, and an error: empty, its last line or the limit."""
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=TOOLS.parent,
        start_new_session=True,  # with the compilers that it starts
        # The device is this program's.
        env={"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.92", **os.environ},
    )
    try:
        printed, errors = process.communicate(timeout=max(limit, 0.1))
    except subprocess.TimeoutExpired:
        return "", f"not done after {limit:.0f} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    last = (errors.strip().splitlines() or [f"status {process.returncode}"])[-1]
    return printed, last if process.returncode else ""


def run_case(case: dict[str, Any], words: Sequence[str], limit: float) -> dict[str, Any]:
    """Runs a case; returns its row, as far as it came."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "figures.json")
        _, error = in_process([*words, f"--json={path}"], limit)
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    row = rows[0] if rows else {key: case[key] for key in ("name", *_OF_A_CASE)}
    # A check that failed has its words, and status 1 besides.
    return row if "error" in row or "seconds" in row or not error else {**row, "error": error}


def run_all(flags: argparse.Namespace) -> int:
    """Runs the cases in turn within the limit; returns the exit status."""
    start = time.monotonic()
    folders = [str(pathlib.Path(folder).resolve()) for folder in flags.folders]
    programs = read_folders(folders)
    printed, error = in_process(["tools.run_program", "--probe"], PROBE_LIMIT_SEC)
    if error:
        raise MistakeError(error.removeprefix("error: "))
    device = json.loads(printed.splitlines()[-1])
    print("jax {jax}, {platform}: {device}".format(**device))
    if device["platform"] == "cpu" and not flags.all:
        programs = [program for program in programs if "check" in program]
        print("JAX finds no accelerator: large programs are left out, which --all runs.")
    has_torch = all(importlib.util.find_spec(name) for name in ("torch", "torchvision"))
    cases = cases_of(programs, [name for name in flags.torch.split(",") if name and has_torch])
    print(HEADER, flush=True)
    rows: list[dict[str, Any]] = []
    if flags.json:  # refused now, not after the work
        write_json(flags.json, {**device, "rows": rows})
    for case, words in cases:
        left = flags.limit_s - (time.monotonic() - start)
        if left <= 0:
            rows.append({"name": case["name"], "error": f"left out after {flags.limit_s:.0f} s"})
        else:
            rows.append(run_case(case, words, min(left, flags.case_limit_s)))
        print(row_text(rows[-1]), flush=True)
        if flags.json:
            write_json(flags.json, {**device, "rows": rows})
    agree = all(row["check"]["agrees"] for row in rows if "check" in row)
    return 0 if agree and any("seconds" in row for row in rows) else 1


def main(words: Sequence[str]) -> int:
    """Runs the program; returns its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="of programs")
    parser.add_argument("--limit_s", type=float, default=480.0, help="seconds for all together")
    parser.add_argument("--case_limit_s", type=float, default=200.0, help="seconds for one case")
    parser.add_argument("--json", help="file to write the figures to")
    parser.add_argument("--all", action="store_true", help="large programs on a CPU too")
    parser.add_argument(
        "--torch",
        default="r2plus1d_18,s3d,swin3d_t",
        help="networks of torchvision; empty for none",
    )
    try:
        return run_all(parser.parse_args(words))
    except (MistakeError, OSError) as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
