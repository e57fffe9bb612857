"""Runs programs that official-vision wrote (benchmark --what=program) on the accelerator that JAX finds.

    python run_program.py FOLDER [FOLDER ...] [--json=results.json]

Needs jax and numpy, neither TensorFlow nor official_vision: copy this file and the folders to another machine.
Results are compared with those that were recorded, where a program has any; then it is timed. A table is printed line
by line, and --json is written again after each program. Status 1: a check failed, or a program did not run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import pathlib
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

FORMAT = {"format": "official_vision.program", "version": 1}
PRECISIONS = ("bfloat16", "tf32", "float32")  # in the order of importance
WARM_UP_CALLS, ROUNDS, LEAST_ROUNDS, ROUND_SEC, TIMING_SEC = 2, 7, 3, 0.3, 20.0
GEMM_ROWS, GEMM_ROWS_OF_CPU = 8192, 1024
DESCRIBED = ("name", "network", "pass", "precision", "clips", "frames", "size", "flops")
HEADER = (
    f"{'program':<44} {'seconds per step':>24} {'clips/s':>8} {'GFLOP/s':>9} {'of GEMM':>7} "
    f"{'peak MiB':>8} {'compile s':>9} check"
)


class MistakeError(Exception):
    """A mistake of the user, in one line: the rule, what was received, the remedy."""


# Programs, as they were written.


def read_signature(path: pathlib.Path) -> dict[str, Any]:
    """Reads a program's signature, and checks that its files are whole; a key is added for their folder."""
    try:
        signature = json.loads(path.read_text(encoding="utf-8"))
        if {key: signature[key] for key in FORMAT} != FORMAT:
            raise MistakeError(
                f"Programs must be of {FORMAT}. Received: {path}, of another. Write them again."
            )
        for part in (signature, signature.get("check")):
            if part:
                content = (path.parent / part["file"]).read_bytes()
                if hashlib.sha256(content).hexdigest() != part["sha256"]:
                    raise ValueError(f"{part['file']} is not what was written")
    except OSError as error:
        raise MistakeError(
            f"Files of programs must be there. Received: {error.filename} ({error.strerror}). Copy the whole folder."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise MistakeError(
            f"A program must be whole. Received: {path} ({error}). Copy its folder again."
        ) from error
    return {**signature, "folder": str(path.parent)}


def read_folders(folders: Sequence[str]) -> list[dict[str, Any]]:
    """Reads the signatures of all programs in folders."""
    paths = [path for folder in folders for path in sorted(pathlib.Path(folder).glob("*.json"))]
    if not paths:
        raise MistakeError(
            f"Folders must have programs. Received: {' '.join(folders) or 'none'}. "
            "Write one: official-vision benchmark --what=program."
        )
    return [read_signature(path) for path in paths]


def drawn(value: dict[str, Any], random: Any) -> Any:
    """Draws an input's initial values like those that the program was made of."""
    import numpy as np

    initial, shape = value["initial"], value["shape"]
    if initial["kind"] == "normal":
        array = random.standard_normal(shape, np.float32) * initial["deviation"] + initial["mean"]
    elif initial["kind"] == "choice":
        array = random.choice(initial["values"], shape, p=initial["shares"])
    elif initial["kind"] == "integers":
        array = random.integers(initial["low"], initial["high"], shape, endpoint=True)
    elif initial["kind"] == "constant":
        array = np.full(shape, initial["value"])
    else:
        array = np.array(initial["values"])
    return array.astype(_dtype(value["dtype"]))


def _dtype(name: str) -> Any:
    import jax.numpy as jnp
    import numpy as np

    return jnp.bfloat16 if name == "bfloat16" else np.dtype(name)


def recorded(signature: dict[str, Any]) -> list[Any]:
    """Reads the input values of a check; seeds have one more axis in front, of steps."""
    import numpy as np

    path = pathlib.Path(signature["folder"], signature["check"]["file"])
    arrays = []
    with np.load(path, allow_pickle=False) as stored:
        for number, value in enumerate(signature["inputs"]):
            array = stored[f"input_{number}"]
            arrays.append(array.view(_dtype("bfloat16")) if value["dtype"] == "bfloat16" else array)
    return arrays


# One program, in a process for it.


class Running:
    """A compiled program with its inputs on the device; a step's new variables take the old ones' memory."""

    def __init__(self, device: Any, signature: dict[str, Any]):
        """Args:
        device: of JAX.
        signature: of `read_signature`.
        """
        content = pathlib.Path(signature["folder"], signature["file"]).read_bytes()
        client = device.client
        begun = time.perf_counter()
        if hasattr(client, "compile_and_load"):
            self.executable = client.compile_and_load(content, [device])
        else:  # before JAX 0.7
            self.executable = client.compile(content)
        self.compile_seconds = time.perf_counter() - begun
        self._device = device
        self._feeds = [result["feeds"] for result in signature["results"]]
        self._arguments: list[Any] = []

    def put(self, arrays: Sequence[Any]) -> None:
        """Copies all inputs to the device."""
        self._arguments = [self._on_device(array) for array in arrays]

    def replace(self, number: int, array: Any) -> None:
        """Copies another value of one input to the device."""
        self._arguments[number] = self._on_device(array)

    def _on_device(self, array: Any) -> Any:
        import jax

        return jax.device_put(array, self._device)

    def step(self) -> Any:
        """Runs once; returns the first result, which the device may still be computing."""
        results = self.executable.execute_sharded(self._arguments)
        arrays = [copies[0] for copies in results.disassemble_into_single_device_arrays()]
        for array, feeds in zip(arrays, self._feeds, strict=True):
            if feeds is not None:
                self._arguments[feeds] = array
        return arrays[0]


def compare(running: Running, signature: dict[str, Any]) -> dict[str, Any]:
    """Takes the steps of a check; returns the greatest difference from what was recorded, as a share of it."""
    import numpy as np

    check, arrays = signature["check"], recorded(signature)
    seeds = [n for n, value in enumerate(signature["inputs"]) if value["role"] == "seed"]
    running.put([array[0] if n in seeds else array for n, array in enumerate(arrays)])
    computed, differences = [], []
    for step in range(check["steps"]):
        for number in seeds:
            running.replace(number, arrays[number][step])
        computed.append(np.asarray(running.step(), np.float32))
        expected = np.asarray(check["expected"][step], np.float32)
        difference = np.abs(computed[-1] - expected).max() / np.abs(expected).max()
        differences.append(float(difference) if np.isfinite(difference) else math.inf)
    worst = max(differences)
    return {
        "difference": min(worst, sys.float_info.max),
        "tolerance": check["tolerance"],
        "agrees": worst <= check["tolerance"],
        "computed": np.array(computed).tolist(),
    }


def seconds_of_calls(
    call: Callable[[], Any], wait: Callable[[Any], Any], round_seconds: float = ROUND_SEC
) -> dict[str, Any]:
    """Times rounds of calls, each ended by waiting for the device; returns seconds per call."""
    for _ in range(WARM_UP_CALLS):
        begun = time.perf_counter()
        wait(call())
        last = time.perf_counter() - begun
    calls, rounds = max(1, math.ceil(round_seconds / last)), []
    start = time.perf_counter()
    while len(rounds) < ROUNDS and (
        len(rounds) < LEAST_ROUNDS or time.perf_counter() - start < TIMING_SEC
    ):
        begun = time.perf_counter()
        for _ in range(calls):
            result = call()
        wait(result)
        rounds.append((time.perf_counter() - begun) / calls)
    spread = {"median": statistics.median(rounds), "least": min(rounds), "most": max(rounds)}
    return {**spread, "rounds": len(rounds), "calls_per_round": calls}


def gemm_of_jax(device: Any, precision: str, round_seconds: float) -> float:
    """Returns FLOP/s of a large square matrix product in a program's arithmetic."""
    import jax
    import jax.numpy as jnp

    rows = GEMM_ROWS_OF_CPU if device.platform == "cpu" else GEMM_ROWS
    dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
    matrices = [jax.random.normal(jax.random.key(n), (rows, rows), dtype) for n in range(2)]
    marked = "highest" if precision == "float32" else "default"
    product = jax.jit(lambda left, right: jnp.matmul(left, right, precision=marked))
    seconds = seconds_of_calls(
        lambda: product(*matrices), lambda x: x.block_until_ready(), round_seconds
    )
    return 2.0 * rows**3 / seconds["median"]


def run_program(
    signature: dict[str, Any], report: Callable[[dict[str, Any]], None], round_seconds: float
) -> None:
    """Compiles, checks and times a program; reports figures as they come."""
    import jax
    import numpy as np

    jax.config.update("jax_enable_x64", True)  # an optimizer counts steps by 64 bits
    device = jax.devices()[0]
    running = Running(device, signature)
    figures = {"compile_seconds": running.compile_seconds, **_planned(running.executable)}
    report(figures)
    if "check" in signature:
        figures["check"] = compare(running, signature)
        report(figures)
    else:
        random = np.random.default_rng(0)
        running.put([drawn(value, random) for value in signature["inputs"]])
    seconds = seconds_of_calls(running.step, lambda x: x.block_until_ready(), round_seconds)
    # Of a runtime that counts: CPUs' does not.
    peak = (device.memory_stats() or {}).get("peak_bytes_in_use")
    figures |= {"peak_bytes": peak, **rates(seconds, signature["clips"], signature["flops"])}
    report(figures)
    gemm = gemm_of_jax(device, signature["precision"], round_seconds)
    report(figures | {"gemm_flops": gemm, "share_of_gemm": figures["flops_per_second"] / gemm})


def _planned(executable: Any) -> dict[str, Any]:
    """Returns the memory that XLA planned: inputs, temporary values and results that take no input's memory."""
    stats = executable.get_compiled_memory_stats()
    extra = stats.output_size_in_bytes - stats.alias_size_in_bytes
    return {
        "planned_bytes": stats.argument_size_in_bytes + stats.temp_size_in_bytes + extra,
        "in_place_bytes": stats.alias_size_in_bytes,
    }


def rates(seconds: dict[str, Any], clips: int, flops: float | None) -> dict[str, Any]:
    """Returns the seconds and what follows of them; FLOPs that are not known leave their rate None."""
    median = seconds["median"]
    return {
        "seconds": seconds,
        "clips_per_second": clips / median,
        "flops_per_second": flops and flops / median,
    }


# All programs, in turn.


def in_order(signatures: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorts programs by importance: first a check of training in float32, last the other checks; between them
    training before forward passes, bfloat16 before float32, small batches before large ones.
    """

    def rank(program: dict[str, Any]) -> tuple[int, ...]:
        is_first = program["pass"] == "train" and program["precision"] == "float32"
        place = 1 if "check" not in program else 0 if is_first else 2
        precision = PRECISIONS.index(program["precision"])
        return place, program["pass"] != "train", precision, program["clips"]

    return sorted(signatures, key=rank)


def write_json(path: str, values: Any) -> None:
    """Writes JSON, whole or not at all."""
    partial = pathlib.Path(path).with_name(f".partial-{pathlib.Path(path).name}")
    partial.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)


def row_text(row: dict[str, Any]) -> str:
    """Returns a program's line of the table; figures that are not there leave their column empty."""

    def cell(key: str, form: str, factor: float = 1.0) -> str:
        return format(row[key] * factor, form) if row.get(key) is not None else ""

    seconds, check = row.get("seconds"), row.get("check")
    verdict = ""
    if check:
        words = "agrees" if check["agrees"] else "DIFFERS"
        verdict = f"{words}: {check['difference']:.2g} of {check['tolerance']:g}"
    return (
        f"{row['name']:<44} "
        f"{'{median:.4f} ({least:.4f}-{most:.4f})'.format(**seconds) if seconds else '':>24} "
        f"{cell('clips_per_second', '.2f'):>8} {cell('flops_per_second', '.1f', 1e-9):>9} "
        f"{cell('share_of_gemm', '.1%'):>7} {cell('peak_bytes', '.0f', 2**-20):>8} "
        f"{cell('compile_seconds', '.1f'):>9} {verdict} {row.get('error', '')}"
    ).rstrip()


def what_jax_finds() -> dict[str, str]:
    """Returns JAX's version, and the platform and kind of its first device."""
    try:
        import jax

        device = jax.devices()[0]
    except (ImportError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise MistakeError(f"JAX must start. Received: {line}. Install jax and numpy.") from error
    return {"jax": jax.__version__, "platform": device.platform, "device": device.device_kind}


def chosen(flags: argparse.Namespace, platform: str) -> list[dict[str, Any]]:
    """Returns the programs to run, in order; on a CPU those that are checked, if not all are wanted."""
    programs = in_order(read_folders(flags.folders))
    programs = [each for each in programs if re.search(flags.only, each["name"])]
    if platform == "cpu" and not flags.all:
        small = [each for each in programs if "check" in each]
        if len(small) < len(programs):
            has_driver = " in spite of NVIDIA's driver" if shutil.which("nvidia-smi") else ""
            print(
                f"JAX finds no accelerator{has_driver}: {len(programs) - len(small)} large programs left out"
            )
        programs = small
    return programs


def run_all(flags: argparse.Namespace) -> int:
    """Runs programs in turn, in this process; returns the exit status."""
    read_folders(flags.folders)  # damage is reported before anything starts
    device = what_jax_finds()
    print("jax {jax}, {platform}: {device}".format(**device))
    rows: list[dict[str, Any]] = []
    programs = chosen(flags, device["platform"])
    if flags.json:  # refused now, not after the work
        write_json(flags.json, {**device, "rows": rows})
    print(HEADER)
    for program in programs:
        rows.append({key: program[key] for key in DESCRIBED})

        def report(figures: dict[str, Any]) -> None:
            rows[-1] |= figures
            if flags.json:
                write_json(flags.json, {**device, "rows": rows})

        try:
            run_program(program, report, flags.round_s)
        except Exception as error:  # XLA's, whose messages have many lines
            report(
                {"error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"}
            )
        print(row_text(rows[-1]), flush=True)
    agree = all(row["check"]["agrees"] for row in rows if "check" in row)
    return 0 if agree and rows and not any("error" in row for row in rows) else 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise MistakeError(f"Flags must be those of --help. Received: {message}. Mend them.")


def main(words: Sequence[str]) -> int:
    """Runs the program; returns its exit status."""
    parser = _Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="of programs")
    parser.add_argument("--json", help="file to write the figures to")
    parser.add_argument("--only", default="", help="regular expression that names must contain")
    parser.add_argument("--all", action="store_true", help="large programs on a CPU too")
    parser.add_argument("--round_s", type=float, default=ROUND_SEC, help="seconds of a round")
    parser.add_argument("--probe", action="store_true", help="print what JAX finds, and end")
    try:
        flags = parser.parse_args(words)
        if flags.probe:
            print(json.dumps(what_jax_finds()))
            return 0
        return run_all(flags)
    except (MistakeError, OSError) as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
