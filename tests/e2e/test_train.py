"""tools/train.py and tools/evaluate.py as a user runs them."""

import json
import re
import signal
import time

import pytest
import tensorflow as tf

from tests.commands import REPOSITORY, command, run, start
from tests.training import runs

# All that are started: the hooks of the documentation's site are not.
TOOLS = sorted(
    path.stem for path in (REPOSITORY / "tools").glob("*.py") if "__main__" in path.read_text()
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Prepared data, a small architecture, and a gin file that trains it for 8 steps."""
    folder = tmp_path_factory.mktemp("train")
    data = runs.write_data(folder / "data")
    graph = runs.save_small(folder, streams=("rgb", "flow"))
    config = runs.config(data, folder / "run", graph)
    (folder / "run.gin").write_text(config.to_gin())
    return folder


@pytest.mark.slow
def test_train_is_interrupted_goes_on_and_is_evaluated(folder):
    flags = [f"--gin_file={folder}/run.gin"]
    short = "--gin_bindings=TrainSpec.steps = 4"
    status, stdout, stderr = command("train", *flags, short, fresh=True)
    assert (status, stderr) == (0, "")
    lines = stdout.strip().splitlines()
    # What it starts with, progress, one evaluation and the end: nothing of Orbit's or TensorFlow's.
    expected = ["devices", "data", "learning rate", "loss", "memory", "step", "step", "evaluated"]
    expected.append("trained to step")
    assert [re.match(r"[a-z ]+?(?=:| \d)", line)[0] for line in lines] == expected
    assert re.fullmatch(r"step 2/4  loss [\d.]+ \+ weight decay [\d.]+ .* left", lines[5])

    step = interrupted(folder, flags)
    status, stdout, stderr = command(
        "train", *flags, f"--gin_bindings=TrainSpec.steps = {step + 4}"
    )
    assert (status, stderr) == (0, "")
    assert any(f"at step {step} of {step + 4}" in line for line in stdout.splitlines()[:2])
    assert tf.train.latest_checkpoint(str(folder / "run")).endswith(f"ckpt-{step + 4}")

    report = folder / "evaluation.json"
    status, stdout, stderr = command(
        "evaluate", f"--model_dir={folder}/run", "--blank_streams", f"--json={report}"
    )
    assert (status, stderr) == (0, "")
    figures = json.loads(report.read_text())
    assert re.search(rf"^mAP +{figures['mAP']:.4f} ", stdout, re.M)
    assert set(figures["without"]) == {"rgb", "flow"}
    for row in figures["classes"]:
        assert re.search(
            rf"^{row['name']} .*{row['base_rate']:.3f} .*{row['positives']}$", stdout, re.M
        )


def interrupted(folder, flags):
    """Goes on from step 4 towards 4000 and presses Ctrl-C; returns the step at which the run is saved."""
    process = start(
        "train",
        *flags,
        "--gin_bindings=TrainSpec.steps = 4000",
        "--gin_bindings=TrainSpec.checkpoint_interval = 3000",
        "--gin_bindings=TrainSpec.validation_interval = 4000",
    )
    deadline = time.monotonic() + 200
    while "\nstep " not in process.printed("stdout"):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "at step 4 of 4000" in stdout
    assert "Traceback" not in stderr
    assert "is saved at step" in stderr
    newest = tf.train.latest_checkpoint(str(folder / "run"))
    assert len(runs.weights(newest)) > 20  # it can be read from end to end
    return int(newest.rsplit("-", 1)[1])


MISTAKES = [
    ("train", ["--gin_bindings=TrainSpec.step = 4"], "Did you mean 'steps'?"),
    ("train", ["--gin_file=nothing.gin"], "A gin file must exist"),
    ("train", ["--gin_bindings=ModelSpec.num_classes = 5"], "Set ModelSpec.num_classes = 4"),
    ("train", ["--gin_bindings=train/DataSpec.path = '/nowhere'"], "'/nowhere', which has none"),
    ("train", ["--gin_bindings=TrainSpec.model_dir = ''"], "TrainSpec.model_dir must be set"),
    ("train", ["--gin_bindings=ModelSpec.architecture = 'asemblenet_50'"], "assemblenet_50"),
    ("evaluate", ["--model_dir=/nowhere"], "which has none"),
    ("evaluate", [], "--model_dir must name"),
]


@pytest.mark.parametrize(("tool", "flags", "words"), MISTAKES)
def test_a_mistake_is_one_line_and_status_1(folder, tool, flags, words):
    config_flag = [f"--gin_file={folder}/run.gin"] if tool == "train" else []
    status, _, stderr = command(tool, *config_flag, *flags)
    assert status == 1
    (line,) = stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert words in line


@pytest.mark.parametrize("tool", TOOLS)
def test_help_describes_what_the_command_does(tool):
    done = run(tool, "--help", fresh=True)
    text = done.stdout + done.stderr
    assert tool in text or "usage" in text
    assert len(text.splitlines()) > 3
