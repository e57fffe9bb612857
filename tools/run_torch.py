"""Times video networks of torchvision as tools/run_program.py times programs: python -m tools.run_torch r2plus1d_18.

Needs torch and torchvision, and tools/run_program.py, but neither jax nor TensorFlow.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

# Started by its path, a script is searched for imports beside itself, not in the folder above.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from tools.run_program import (
    GEMM_ROWS,
    GEMM_ROWS_OF_CPU,
    PRECISIONS,
    rates,
    row_text,
    seconds_of_calls,
    write_json,
)

CLASSES = 157
# No requirement of this repository: a plain import would make BUILD name them.
_PACKAGES = ("torch", "torchvision.models.video")


def measure(case: argparse.Namespace) -> dict[str, Any]:
    """Times a training step or a forward pass, compiled by torch.compile where there is one.

    Args:
      case: network, pass_ (train or forward), precision, clips, frames and size.

    Returns:
      Figures as those of run_program.py.
    """
    torch, models = map(importlib.import_module, _PACKAGES)
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    for backend in (torch.backends.cuda.matmul, torch.backends.cudnn):
        backend.allow_tf32 = case.precision != "float32"
    model = getattr(models, case.network)(weights=None, num_classes=CLASSES).to(device)
    model = model.to(memory_format=torch.channels_last_3d).train(case.pass_ == "train")
    flops = _flops(_call(torch, model, model, case, device))
    compiled = torch.compile(model) if hasattr(torch, "compile") else model
    call = _call(torch, model, compiled, case, device)
    begun = time.perf_counter()
    call()
    wait()
    figures = {
        "flops": flops,
        "torch": torch.__version__,
        "is_compiled": compiled is not model,
        "compile_seconds": time.perf_counter() - begun,
    }
    with contextlib.nullcontext() if not on_gpu else _peak(torch, figures):
        seconds = seconds_of_calls(call, lambda _: wait())
    figures |= rates(seconds, case.clips, flops)
    figures["gemm_flops"] = gemm = _gemm(torch, device, case.precision, wait)
    return figures | {"share_of_gemm": flops and figures["flops_per_second"] / gemm}


@contextlib.contextmanager
def _peak(torch: Any, figures: dict[str, Any]) -> Any:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    yield
    figures["peak_bytes"] = torch.cuda.max_memory_allocated()


def _gemm(torch: Any, device: Any, precision: str, wait: Callable[[], None]) -> float:
    """Returns FLOP/s of a large square matrix product."""
    rows = GEMM_ROWS if device.type == "cuda" else GEMM_ROWS_OF_CPU
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left, right = (torch.randn(rows, rows, device=device, dtype=dtype) for _ in range(2))
    return 2.0 * rows**3 / seconds_of_calls(lambda: left @ right, lambda _: wait())["median"]


def _call(torch: Any, model: Any, forward: Any, case: argparse.Namespace, device: Any) -> Any:
    """Returns a function that takes a training step of `model` by `forward`, or a forward pass."""
    shape = (case.clips, 3, case.frames, case.size, case.size)
    clips = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    clips = clips.contiguous(memory_format=torch.channels_last_3d)
    labels = torch.nn.functional.one_hot(torch.arange(case.clips) % CLASSES, CLASSES)
    labels = labels.float().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    half = case.precision == "bfloat16"

    def scores() -> Any:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            return forward((clips.float() / 255 - 0.45) / 0.225)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(scores().float(), labels)
        loss.backward()
        optimizer.step()

    return step if case.pass_ == "train" else torch.no_grad()(scores)


def _flops(call: Callable[[], Any]) -> float | None:
    """Counts the FLOPs of a call, 2 per multiply-add; None where PyTorch is older than its counter."""
    try:
        (counters,) = map(importlib.import_module, ("torch.utils.flop_counter",))
    except ModuleNotFoundError:
        return None
    with counters.FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def main(words: Sequence[str]) -> int:
    """Runs the program; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", help="of torchvision.models.video")
    parser.add_argument("--pass", dest="pass_", default="train", choices=("train", "forward"))
    parser.add_argument("--precision", default=PRECISIONS[0], choices=PRECISIONS)
    parser.add_argument("--clips", type=int, default=8, help="of a step")
    parser.add_argument("--frames", type=int, default=16, help="of a clip")
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--json", help="file to write the figures to")
    case = parser.parse_args(words)
    name = f"{case.network}_{case.pass_}_{case.precision}_{case.clips}"
    row = {"name": name, "network": case.network, "pass": case.pass_, "precision": case.precision}
    row |= {"clips": case.clips, "frames": case.frames, "size": case.size}
    try:
        row |= measure(case)
    except ModuleNotFoundError as error:
        print(
            f"error: PyTorch's networks need torch and torchvision. Received: no {error.name}. Install them.",
            file=sys.stderr,
        )
        return 1
    except Exception as error:  # PyTorch's, whose messages have many lines
        row["error"] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"
    print(row_text(row))
    if case.json:
        write_json(case.json, {"rows": [row]})
    return 1 if "error" in row else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
