"""tools/evaluate.py as a user runs it: score once, then evaluate, pool and fuse stored scores."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from official_vision.data.storage.index import Index, StatedTimes
from official_vision.files import read_json
from tests import commands
from tests.commands import ENVIRONMENT, REPOSITORY
from tests.training import untrained


# Loads a tool as the command line does, and prints the packages that it imported.
def evaluate(*flags, **settings):
    return commands.run("evaluate", *flags, **settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, two files of its scores (on its data, and with three crops), and the first's figures."""
    folder = tmp_path_factory.mktemp("evaluate")
    run = untrained.write_run(folder, views=2, resamples=50)
    flags = [f"--model_dir={run}", "--checkpoint=latest"]
    done = evaluate(
        *flags,
        f"--dump={folder}/two.npz",
        f"--json={folder}/two.json",
        "--classes=worst:1",
        fresh=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "two.txt").write_text(done.stdout)
    done = evaluate(
        *flags,
        f"--dump={folder}/six.npz",
        "--crops=3",
        "--batch_size=5",
        "--frames=2",
        "--size=16",
        f"--data={folder}/data/train",
        "--resamples=0",
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.mark.slow
def test_scores_are_kept_and_judged_again_without_tensorflow(folder):
    first = read_json(folder / "two.json")
    assert (first["step"], first["videos"], first["intervals"]["resamples"]) == (7, 6, 50)
    flags = [f"--scores={folder}/two.npz", f"--json={folder}/again.json", "--resamples=50"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.evaluation_imports", *flags, "--classes=worst:1"],
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
    again = read_json(folder / "again.json")
    for name in ("mAP", "top_1", "mean_class_accuracy", "intervals", "classes", "confusion"):
        assert again[name] == first[name]
    assert again["scores"][0]["provenance"]["checkpoint"] == first["checkpoint"]
    # The same but for the line that names the scores, and the last, which this test adds.
    shown = done.stdout.splitlines()[1:-1]
    assert shown == (folder / "two.txt").read_text().splitlines()[1:]
    with np.load(folder / "six.npz", allow_pickle=False) as archive:
        assert archive["clip_logits"].shape == (16 * 6, 4)
        clips = json.loads(str(archive["about"]))["provenance"]["clips"]
    assert (clips["crops"], clips["frames"], clips["size"]) == (3, 2, 16)


@pytest.mark.slow
def test_kept_scores_are_pooled_and_fused_as_set(folder):
    with np.load(folder / "two.npz", allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    # A second network, that knows every label.
    arrays["clip_logits"] = 20 * arrays["labels"][arrays["clip_video"]].astype(np.float32)
    np.savez(folder / "right.npz", **arrays)
    figures = {}
    for name, flags in {
        "max": ["--pooling=max"],
        "logits": ["--pooling=top_k", "--top_k=1", "--pooled_values=logits"],
        "fused": [f"--scores={folder}/right.npz", "--weights=0.01,0.99"],
    }.items():
        report = folder / f"{name}.json"
        done = evaluate(f"--scores={folder}/two.npz", *flags, f"--json={report}", "--resamples=0")
        assert (done.returncode, done.stderr) == (0, "")
        figures[name] = json.loads(report.read_text())
    assert figures["max"]["pooling"]["pooling"] == "max"
    assert figures["logits"]["pooling"]["pooled_values"] == "logits"
    assert "intervals" not in figures["fused"]
    assert figures["fused"]["mAP"] == figures["fused"]["top_1"] == 1.0
    assert figures["fused"]["weights"] == [0.01, 0.99]


@pytest.mark.slow
def test_a_submission_to_localisation_is_written_and_judged(tmp_path):
    """On data with the classes of Charades and an annotation that states lengths."""
    names = tuple(f"c{number:03d} Doing {number}" for number in range(157))
    run = untrained.write_run(tmp_path, names, activation="sigmoid", resamples=0)
    split = tmp_path / "data" / "validation"
    index = Index.read(split)
    stated = tuple(
        StatedTimes(video, 0.2, ((number % 4, 0.05, 0.1),))
        for number, video in enumerate(index.videos)
    )
    dataclasses.replace(index, stated_times=stated).write(split)
    submission, figures = tmp_path / "points.txt", tmp_path / "figures.json"
    done = evaluate(
        f"--model_dir={run}",
        "--checkpoint=latest",
        "--localise",
        "--frames=2",
        f"--charades_localisation={submission}",
        f"--json={figures}",
        "--classes=none",
    )
    assert done.returncode == 0, done.stderr
    assert "no label has times" in done.stderr
    lines = done.stdout.splitlines()[-2:]
    assert lines[0].startswith("localisation, 25 points per video   mAP 0.")
    assert lines[1].startswith("localisation, 24 frames   mAP ")
    evaluated = read_json(figures)["localisation"]
    assert (evaluated["localisation_rows"], evaluated["merge"], evaluated["stride"]) == (
        150,
        "frames",
        1,
    )
    done = evaluate(f"--judge_localisation={submission}", f"--data={split}", f"--json={figures}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{submission}, 6 videos", lines[0]]
    judged = read_json(figures)
    for name in ("localisation_mAP", "localisation_weighted_mAP"):
        assert judged[name] == evaluated[name]
    for flags, words in (
        ([f"--judge_localisation={submission}"], "--judge_localisation requires --data"),
        (
            [f"--judge_localisation={submission}", f"--data={run}"],
            "A prepared split has index.json",
        ),
        ([f"--model_dir={run}", "--merge=windows"], "--merge requires --localise"),
        ([f"--scores={submission}", "--localise"], "--localise requires --model_dir"),
    ):
        assert words in commands.refusal("evaluate", *flags)


@pytest.mark.slow
def test_mistakes_with_scores_are_one_line(folder):
    two, six = f"--scores={folder}/two.npz", f"--scores={folder}/six.npz"
    for flags, words in (
        ([two, six], "alone has video"),
        ([two, "--weights=1,2"], "a weight for each of the 1 files"),
        ([two, "--weights=x"], "--weights must be numbers"),
        ([two, "--dump=x.npz"], "--dump requires --model_dir"),
        ([two, f"--charades_submission={folder}/s.txt"], "157 classes. Received: 4"),
        ([two, f"--json={folder}"], "--json must name a file that can be written"),
        ([two, "--classes=first"], "best:N or worst:N"),
        ([f"--scores={folder}/none.npz"], "No such file"),
        ([two, f"--model_dir={folder}/run"], "Received: both"),
        ([f"--model_dir={folder}/run", "--weights=1"], "--weights requires --scores"),
        ([f"--model_dir={folder}/run", "--dump=scores.json"], "ends with .npz"),
    ):
        done = evaluate(*flags)
        assert done.returncode == 1
        (line,) = done.stderr.strip().splitlines()
        assert line.startswith("error: ")
        assert words in line
