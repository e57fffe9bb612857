"""Two processes over loopback train one network, as TF_CONFIG says; one is killed, and one goes on alone."""

import json
import signal
import time

import pytest

from official_vision.benchmark.scaling import free_addresses
from tests import commands
from tests.training import runs

ENVIRONMENT = {name: value for name, value in commands.ENVIRONMENT.items() if name != "TF_CONFIG"}
pytestmark = pytest.mark.slow


def start(gin_file, workers, *flags):
    """Starts a run's processes."""
    addresses = free_addresses(workers)
    processes = []
    for index in range(workers):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {**ENVIRONMENT, **({"TF_CONFIG": json.dumps(cluster)} if workers > 1 else {})}
        processes.append(commands.start("train", f"--gin_file={gin_file}", *flags, env=environment))
    return processes


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Writes the gin file of a run in its folder."""
    folder = tmp_path_factory.mktemp("workers")
    data, graph = runs.write_data(folder / "data"), runs.save_small(folder, streams=("rgb",))

    def make(name, **settings):
        # Small steps of a smooth network: rounding, which differs, is not magnified.
        settings_of_run = {
            "learning_rate": 0.001,
            "frame_pooling": "mean",
            "batch_size": 8,
            **settings,
        }
        path = folder / f"{name}.gin"
        path.write_text(runs.config(data, folder / name, graph, **settings_of_run).to_gin())
        return path

    return make


def history(gin_file, kind):
    lines = (gin_file.with_suffix("") / "history.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


SETTINGS = {
    "steps": 20,
    "steps_per_loop": 1,
    "validation_interval": 20,
    "checkpoint_interval": 5,
    "schedule": "constant",  # the rate doesn't follow the run's length
}


def test_two_workers_one_device_and_two_again_train_as_one_device(make):
    """The chief is killed; that a killed worker 1 ends the same way was tried by hand."""
    one = make("one", **SETTINGS)
    two = make("two", strategy="multi_worker_mirrored", **SETTINGS)
    folders = [path.with_suffix("") for path in (one, two)]
    (alone,) = start(one, 1)
    assert alone.wait() == 0, alone.communicate()

    processes = start(two, 2)
    deadline = time.monotonic() + 200
    while not list(folders[1].glob("ckpt-*.index")) and time.monotonic() < deadline:
        time.sleep(0.05)
    processes[0].send_signal(signal.SIGKILL)
    assert processes[1].wait(timeout=120) == 1
    stdout, stderr = processes[1].communicate()
    *_, last = stderr.splitlines()
    assert last.startswith("error: A run on several workers needs all of them. Received: ")
    assert "no more response from worker 0" in last
    assert "Traceback" not in stdout + stderr
    assert not (folders[1] / "result.json").exists()

    alone_again = ("TrainSpec.strategy = 'one_device'", "TrainSpec.steps = 15")
    (alone,) = start(two, 1, *(f"--gin_bindings={binding}" for binding in alone_again))
    assert alone.wait() == 0, alone.communicate()
    processes = start(two, 2)
    assert [process.wait() for process in processes] == [0, 0], processes[0].communicate()
    first, second = history(two, "resumed")
    assert 5 <= first["step"] < second["step"] == 15
    losses = [{r["step"]: r["loss"] for r in history(path, "loop")} for path in (one, two)]
    assert list(losses[0]) == list(range(1, 21))
    assert losses[0][20] < 0.8 * losses[0][1]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    # Only one writes: what is in the folder is what one device leaves.
    names = [{path.name for path in folder.iterdir()} for folder in folders]
    assert names[1] == names[0]

    # The figures of both workers together are those of one device with the same weights.
    from official_vision.training.clip_scoring import load_trained, score_clips

    trained = load_trained(folders[1], "latest")
    figures = score_clips(trained).pooled(trained.config.evaluation).evaluation().figures
    evaluation = history(two, "evaluation")[-1]
    for name, value in figures.items():
        assert evaluation["figures"][name] == pytest.approx(value, abs=1e-6), name
