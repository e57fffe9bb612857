"""The command as a user runs it: bad videos, interruptions and kills, and what is left afterwards."""

import collections
import os
import random
import signal
import time

import pytest
import tensorflow as tf

from official_vision.data.storage.index import Index
from tests import commands


def flags_of(folder, footage, output="out", **settings):
    """The flags for folder/annotations.csv, with small frames and two videos per shard."""
    values = {
        "annotations": str(folder / "annotations.csv"),
        "videos": str(footage["bikes"].parent),
        "output": str(folder / output),
        "short_side": 32,
        "objects": "none",
        "videos_per_shard": 2,
        "workers": 2,
        **settings,
    }
    return [f"--gin_bindings=PrepareSpec.{name} = {value!r}" for name, value in values.items()]


def run(*args, flags=(), fresh=False, **settings):
    return commands.run("prepare_data", *flags_of(*args, **settings), *flags, fresh=fresh)


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def annotate(folder, rows):
    text = "path,labels,split,start,end,id\n" + "".join(f"{row}\n" for row in rows)
    (folder / "annotations.csv").write_text(text)


def spans(count, length=0.4, split="train"):
    """Rows of equal spans of a real video of ten seconds."""
    return [
        f"bikes.mp4,ride;x@{n}-{n + 1},{split},{n * length:.2f},{(n + 1) * length:.2f},s{n}"
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def broken(tmp_path_factory, footage):
    """A folder with sound videos and every kind of broken one."""
    folder = tmp_path_factory.mktemp("broken")
    bikes = footage["bikes"].read_bytes()
    (folder / "cut.mp4").write_bytes(bikes[: len(bikes) // 2])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("I am no video.\n" * 50)
    (folder / "bikes.mp4").symlink_to(footage["bikes"])
    rows = [*spans(2), *spans(1, split="validation")]
    rows[-1] = rows[-1].replace("s0", "s9")
    for name in ("cut", "empty", "text", "missing"):
        rows.insert(1, f"{name}.mp4,ride,train,,,{name}")
    annotate(folder, rows)
    return folder


@pytest.fixture(scope="module")
def done_broken(broken, footage):
    return run(broken, footage, videos=str(broken))


@pytest.mark.slow
def test_broken_videos_are_named_and_the_rest_is_prepared(broken, done_broken):
    assert done_broken.returncode == 3, done_broken.stderr
    assert "Traceback" not in done_broken.stderr
    lines = done_broken.stderr.splitlines()
    reasons = {
        line.split(":")[0].split()[-1]: line for line in lines if line.startswith("left out ")
    }
    expected = {
        "cut": "not a readable video",
        "empty": "the file is empty",
        "text": "not a readable video",
        "missing": "there is no such video file",
    }
    assert reasons.keys() == expected.keys()
    for name, reason in expected.items():
        assert f"{name}.mp4: {reason}" in reasons[name]
    assert "train: 2 videos in 2 shards, 4 left out" in done_broken.stdout
    assert "validation: 1 videos in 1 shards, 0 left out" in done_broken.stdout
    index = Index.read(broken / "out" / "train")
    assert index.videos == ("s0", "s1")
    assert collections.Counter(item.id for item in index.left_out) == dict.fromkeys(expected, 1)


@pytest.mark.slow
@pytest.mark.usefixtures("done_broken")
def test_left_out_videos_can_be_fatal_and_other_settings_are_refused(broken, footage):
    refused = run(broken, footage, videos=str(broken), short_side=48)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: An output folder has shards of one kind.")
    assert "differ in short_side" in refused.stderr
    assert refused.stderr.count("\n") == 1
    fatal = run(broken, footage, "fatal", videos=str(broken), left_out_is_fatal=True)
    assert fatal.returncode == 1
    assert "left out text:" in fatal.stderr
    assert not (broken / "fatal" / "train" / "index.json").exists()


@pytest.mark.slow
def test_all_well_is_status_0_with_a_sheet_and_any_number_of_workers_gives_the_same(
    tmp_path, footage
):
    annotate(tmp_path, [*spans(3), "carphone_pristine.mp4,talk,validation,,0.3,c"])
    sheet = tmp_path / "sheet.png"
    one = run(
        tmp_path, footage, workers=1, objects="opencv", flags=[f"--preview={sheet}"], fresh=True
    )
    assert (one.returncode, one.stderr) == (0, "")
    assert sheet.read_bytes().startswith(b"\x89PNG")
    two = run(tmp_path, footage, "two", workers=2, objects="opencv")
    assert two.returncode == 0
    assert content(tmp_path / "out") == content(tmp_path / "two")
    again = run(tmp_path, footage, workers=3, objects="opencv")
    assert again.returncode == 0
    assert content(tmp_path / "out") == content(tmp_path / "two")


def started(folder, footage, before=()):
    """Starts the command and waits until it has finished a shard that is not among those of `before`."""
    process = commands.start("prepare_data", *flags_of(folder, footage))
    deadline = time.monotonic() + 120
    while not set((folder / "out").rglob("shard-*.json")) - set(before):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, footage):
    """A folder with annotations, and what an undisturbed run makes of them."""
    folder = tmp_path_factory.mktemp("undisturbed")
    annotate(folder, spans(20))
    assert run(folder, footage).returncode == 0
    return folder


def comparable(folder):
    """The output without the places that differ between the two folders."""
    return {
        name: data.replace(str(folder).encode(), b"")
        for name, data in content(folder / "out").items()
    }


def finished_shards(folder):
    """Returns the identity of each finished shard's file: one written again would be another file."""
    reports = (folder / "out").rglob("shard-*.json")
    shards = {path: path.with_suffix(".tfrecord") for path in reports}
    return {
        path: (status.st_ino, status.st_mtime_ns)
        for path in (*shards, *shards.values())
        if (status := path.stat())
    }


@pytest.mark.slow
def test_ctrl_c_and_kill_9_redo_shards_in_flight_alone_and_give_the_same_bytes(
    tmp_path, footage, undisturbed
):
    annotate(tmp_path, spans(20))
    process = started(tmp_path, footage)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    left = content(tmp_path / "out")
    assert not [name for name in left if ".partial-" in name or name.endswith("index.json")]
    whole = content(undisturbed / "out")
    shards = [name for name in left if "shard-" in name]
    assert 0 < len(shards) < len([name for name in whole if "shard-" in name])
    assert all(left[name] == whole[name] for name in shards)

    chance = random.Random(7)
    finished = finished_shards(tmp_path)
    for _ in range(2):
        process = started(tmp_path, footage, finished)
        time.sleep(chance.random() * 0.4)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        finished_now = finished_shards(tmp_path)
        assert finished_now.items() >= finished.items()
        finished = finished_now
    assert 0 < len(finished) <= 20
    assert run(tmp_path, footage).returncode == 0
    assert finished_shards(tmp_path).items() >= finished.items()
    assert comparable(tmp_path) == comparable(undisturbed)


class AbortsOnWidePictures(tf.Module):
    """A segmentation network that takes its process along."""

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, "frame")])
    def ids(self, frame):
        def abort():
            with tf.control_dependencies([tf.raw_ops.Abort(error_msg="as a broken kernel would")]):
                return tf.constant(0)

        wide = tf.shape(frame)[2] > 2 * tf.shape(frame)[1]
        zero = tf.cond(wide, abort, lambda: tf.constant(0))
        return {"ids": tf.zeros_like(frame[..., 0], tf.int32) + zero}


@pytest.mark.slow
def test_a_segmentation_network_that_crashes_leaves_out_its_video_alone(tmp_path, footage):
    network = AbortsOnWidePictures()
    tf.saved_model.save(network, str(tmp_path / "net"), signatures={"serving_default": network.ids})
    annotate(tmp_path, [*spans(1), "carphone_pristine.mp4,ride;x,train,0,0.3,c"])
    done = run(tmp_path, footage, objects=f"saved_model:{tmp_path}/net", workers=1)
    assert done.returncode == 3, done.stderr
    assert "bikes.mp4: the decoder crashed (exit status -6)." in done.stderr
    assert Index.read(tmp_path / "out" / "train").videos == ("c",)


@pytest.mark.slow
def test_mistakes_are_one_line(tmp_path, footage):
    (tmp_path / "annotations.csv").write_text("path,labels,split\nbikes.mp4,a@3-1,train\n")
    done = run(tmp_path, footage)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/annotations.csv:2: a span needs")
    assert done.stderr.count("\n") == 1
