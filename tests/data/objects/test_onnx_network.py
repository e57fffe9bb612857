"""ONNX networks whose arithmetic is known: every layout, size and batch, and mistakes in one line."""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
import threading
import time

import cv2
import hypothesis
import numpy as np
import onnx
import pytest
from hypothesis import strategies as st
from onnx import TensorProto, helper

from official_vision.data.objects import object_source
from official_vision.data.objects.checked_network import network_sha256
from official_vision.data.objects.segmentation import network
from official_vision.data.prepare.decoding_worker import DecodingWorker
from official_vision.data.video import Frame
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec
from tests.data.objects import onnx_files
from tests.data.objects.onnx_files import COLOURS, NEAREST_BIASES, NEAREST_WEIGHTS

FLOAT = TensorProto.FLOAT
NEAREST = (NEAREST_WEIGHTS, NEAREST_BIASES)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The nearest of four colours, by every layout and kind of batch axis."""
    folder = tmp_path_factory.mktemp("onnx")
    for layout, batch in itertools.product(("nchw", "nhwc"), ("batch", 1, 3)):
        path = folder / f"{layout}_{batch}.onnx"
        onnx_files.pixelwise(path, *NEAREST, batch=batch, nhwc=layout == "nhwc")
    onnx_files.pixelwise(folder / "fixed.onnx", *NEAREST, size=(16, 24))
    onnx_files.ids_of_red(folder / "ids.onnx")
    return folder


def spec_of(path, **settings):
    return PrepareSpec(objects=f"onnx:{path}", short_side=32, **settings)


def pictures(count, height, width, seed=0):
    classes = np.random.default_rng(seed).integers(0, 4, (count, height, width))
    return classes, [COLOURS[one].astype(np.uint8) for one in classes]


@hypothesis.given(
    layout=st.sampled_from(["nchw", "nhwc"]),
    batch=st.sampled_from(["batch", 1, 3]),
    size=st.tuples(st.integers(4, 20), st.integers(4, 20)),
    count=st.integers(1, 7),
    together=st.integers(1, 8),
)
def test_ids_are_those_of_the_pixels_in_every_layout_and_batch(
    files, layout, batch, size, count, together
):
    classes, frames = pictures(count, *size, seed=count)
    spec = spec_of(files / f"{layout}_{batch}.onnx", object_batch=together, object_id_offset=1)
    ids = network(spec).many(frames)
    assert {one.dtype for one in ids} == {np.dtype(np.uint8)}
    np.testing.assert_array_equal(np.stack(ids), classes + 1)


def test_as_many_frames_go_through_at_once_as_the_file_takes(files, monkeypatch):
    import onnxruntime

    counts, run = [], onnxruntime.InferenceSession.run

    def counted(self, names, fed):
        counts.append(len(next(iter(fed.values()))))
        return run(self, names, fed)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", counted)
    _, frames = pictures(5, 6, 6)
    batches = {}
    for name in ("nchw_batch", "nchw_1", "nchw_3"):
        counts.clear()
        network(spec_of(files / f"{name}.onnx", object_batch=4)).many(frames)
        batches[name] = list(counts)
    assert batches == {"nchw_batch": [4, 1], "nchw_1": [1] * 5, "nchw_3": [3, 3]}


def test_the_size_may_change_within_a_video(files):
    sizes = [(6, 6), (6, 6), (8, 5), (6, 6)]
    made = [pictures(1, *size, seed=n) for n, size in enumerate(sizes)]
    ids = network(spec_of(files / "nhwc_batch.onnx")).many([frames[0] for _, frames in made])
    for (classes, _), frame_ids in zip(made, ids, strict=True):
        np.testing.assert_array_equal(frame_ids, classes[0])


def test_a_source_gives_the_same_ids_in_any_division_and_repeats_them(files):
    classes, frames = pictures(7, 6, 6)
    spec = spec_of(files / "nchw_batch.onnx", object_interval=3, object_batch=2)
    expected = classes[[0, 0, 0, 3, 3, 3, 6]]
    for division in ([7], [1] * 7, [2, 5], [4, 3]):
        source = object_source(spec, "any.mp4")
        assert source.batch == 6  # two runs of the network
        rest = iter([Frame(frame, 0.0, 0) for frame in frames])
        ids = [
            one for count in division for one in source.many(list(itertools.islice(rest, count)))
        ]
        np.testing.assert_array_equal(np.stack(ids), expected)


def test_threads_are_limited(files, monkeypatch):
    import onnxruntime

    made, session = [], onnxruntime.InferenceSession

    def noted(path, options, **rest):
        made.append(options)
        return session(path, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", noted)
    # A setting that no other test has: the process keeps networks.
    network(spec_of(files / "nchw_1.onnx", object_padding=1))
    assert [(o.intra_op_num_threads, o.inter_op_num_threads) for o in made] == [(1, 1)]
    assert network(spec_of(files / "nchw_1.onnx", object_padding=1)) is not None
    assert len(made) == 1


def test_a_letterbox_keeps_the_shape_of_frames(files):
    """A frame of 8 x 24 in an input of 16 x 24 has borders of 4 rows, which no id shows."""
    classes, (frame,) = pictures(1, 8, 24)
    spec = spec_of(files / "fixed.onnx", object_fit="letterbox")
    np.testing.assert_array_equal(network(spec)(frame), classes[0])
    stretched = network(spec_of(files / "fixed.onnx"))(frame)
    linear = cv2.resize(frame, (24, 16)).astype(np.float32) / 255
    nearest = (linear @ NEAREST_WEIGHTS + NEAREST_BIASES).argmax(-1)
    np.testing.assert_array_equal(stretched, nearest[::2])


def broken(folder):
    """Files that are no networks of object ids; a settings dict and a part of the message for each."""
    (folder / "text.onnx").write_text("no network")
    whole = onnx_files.pixelwise(folder / "whole.onnx", *NEAREST).read_bytes()
    (folder / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (folder / "garbled.onnx").write_bytes(whole.replace(b"Conv", b"Con\xff"))
    vector = ("picture", FLOAT, ["batch", 3])
    identity = helper.make_node("Identity", ["picture"], ["out"])
    onnx_files.write(folder / "rank.onnx", [identity], [vector], [("out", *vector[1:])])
    picture = ("picture", FLOAT, ["batch", 3, "height", "width"])
    onnx_files.write(
        folder / "two.onnx",
        [helper.make_node("Add", ["picture", "other"], ["out"])],
        [picture, ("other", *picture[1:])],
        [("out", *picture[1:])],
    )
    unclear = [3, 3, 3, 3]
    onnx_files.write(
        folder / "unclear.onnx",
        [identity],
        [("picture", FLOAT, unclear)],
        [("out", FLOAT, unclear)],
    )
    mean = helper.make_node("ReduceMean", ["picture"], ["out"], axes=[2, 3], keepdims=0)
    onnx_files.write(folder / "vector.onnx", [mean], [picture], [("out", FLOAT, ["batch", 3])])
    onnx_files.pixelwise(folder / "many.onnx", np.zeros((3, 256)), np.zeros(256))
    onnx_files.write(
        folder / "huge.onnx",
        [helper.make_node("ConstantOfShape", ["shape"], ["out"])],
        [picture],
        [("out", FLOAT, ["batch", 9, "h", "w"])],
        {"shape": np.int64([2, 9, 2**24, 2**24])},
    )
    strange = helper.make_node("Levitate", ["picture"], ["out"], domain="strange")
    graph = helper.make_graph(
        [strange],
        "graph",
        [helper.make_tensor_value_info(*picture)],
        [helper.make_tensor_value_info("out", *picture[1:])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("strange", 1)]
    onnx.save(
        helper.make_model(graph, opset_imports=opsets, ir_version=8), str(folder / "strange.onnx")
    )


MISTAKES = {
    "missing": ({}, "there is no such file"),
    "text": ({}, "must name an ONNX file that onnxruntime runs"),
    "cut": ({}, "must name an ONNX file that onnxruntime runs"),
    "garbled": ({}, "must name an ONNX file that onnxruntime runs"),
    "strange": ({}, "Export it with standard operators"),
    "rank": ({}, r"which takes picture tensor\(float\) \['batch', 3\]"),
    "two": ({}, "which takes picture .*, other "),
    "unclear": ({}, "Set it to 'nchw' or 'nhwc'"),
    "vector": ({}, r"Received: output 'out' of shape \(1, 3\)"),
    "many": ({}, "Received: a network of 256 classes"),
    "huge": ({}, "must run on frames of the stored size"),
    "whole": ({"object_result": "ids"}, r"of shape \(1, 4, 32, 32\) .*object_result = 'ids'"),
    "whole ": ({"object_result": "mask"}, "object_result = 'mask'"),
    "whole  ": ({"object_result": "yolo"}, r"gives \[batch, 4 \+ classes, boxes\]"),
    "whole   ": ({"object_result": "detr"}, "object_output must name .*logits, pred_boxes"),
    "whole    ": ({"object_output": "logit"}, "Did you mean 'logits'"),
    "whole     ": ({"object_classes": "coco"}, "81 names in 'coco' for a network of 4 classes"),
    "whole      ": ({"object_mean": (1, 2)}, "one value for all channels"),
}


@pytest.fixture(scope="module")
def broken_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    broken(folder)
    return folder


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_one_line(broken_files, case, capfd):
    settings, message = MISTAKES[case]
    spec = spec_of(broken_files / f"{case.strip()}.onnx", **settings)
    with pytest.raises(UserError, match=message) as caught:
        network_sha256(spec)
    assert "\n" not in str(caught.value)
    assert "Received: " in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_size_that_is_not_the_files_is_refused(files):
    with pytest.raises(UserError, match=r"must be that of the network, 24 x 16. Received: 16\."):
        network(spec_of(files / "fixed.onnx", object_input_size=16))


def test_the_layout_can_be_named(broken_files):
    spec = spec_of(broken_files / "unclear.onnx", object_layout="nhwc")
    frame = np.full((3, 3, 3), 7, np.uint8)
    frame[..., 1] = 9
    np.testing.assert_array_equal(network(spec)(frame), np.ones((3, 3)))


def test_the_fingerprint_is_that_of_the_weights_wherever_they_lie(files, tmp_path):
    same = tmp_path / "copy.onnx"
    same.write_bytes((files / "nchw_1.onnx").read_bytes())
    first = network_sha256(spec_of(files / "nchw_1.onnx"))
    assert network_sha256(spec_of(same)) == first
    assert network_sha256(spec_of(files / "nchw_batch.onnx")) != first

    outside = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    path = onnx_files.pixelwise(tmp_path / "outside.onnx", *NEAREST, **outside)
    before = network_sha256(spec_of(path))
    weights = np.fromfile(tmp_path / "weights.bin", np.float32)
    (weights + 1).tofile(tmp_path / "weights.bin")
    after = network_sha256(spec_of(path, object_batch=2))
    assert len({first, before, after}) == 3
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(UserError, match=r"must name an ONNX file that onnxruntime runs"):
        network_sha256(spec_of(path, object_batch=3))


def endless(path):
    """A network that never ends: a loop whose condition is always true."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go in"], ["go"]), helper.make_node("Identity", ["x in"], ["x"])],
        "body",
        [value("n", TensorProto.INT64, []), value("go in", TensorProto.BOOL, []), value("x in", FLOAT, None)],
        [value("go", TensorProto.BOOL, []), value("x", FLOAT, None)],
    )  # fmt: skip
    shape = ["batch", 3, "height", "width"]
    loop = helper.make_node("Loop", ["", "true", "picture"], ["out"], body=body)
    return onnx_files.write(
        path, [loop], [("picture", FLOAT, shape)], [("out", FLOAT, shape)], {"true": np.array(True)}
    )


def test_hostile_files_cost_a_process_and_not_the_callers(broken_files, files, tmp_path):
    worker = DecodingWorker()
    try:
        with pytest.raises(UserError, match="must name an ONNX file that onnxruntime runs"):
            worker.network_sha256(spec_of(broken_files / "cut.onnx"))
        spec = spec_of(files / "nchw_1.onnx")
        assert worker.network_sha256(spec) == network_sha256(spec)
        hostile = spec_of(endless(tmp_path / "endless.onnx"), video_timeout_sec=0.5)
        with pytest.raises(UserError, match=r"\(no sign of life within 0\.5 s\)") as caught:
            worker.network_sha256(hostile)
        assert "\n" not in str(caught.value)
        crash = threading.Thread(target=crash_once_started, args=(worker.child,))
        crash.start()
        patient = dataclasses.replace(hostile, video_timeout_sec=60)
        with pytest.raises(UserError, match=r"\(it ended its process with exit status -11\)"):
            worker.network_sha256(patient)
        crash.join()
    finally:
        worker.close()


def crash_once_started(child):
    while child.process is None:
        time.sleep(0.01)
    os.kill(child.process.pid, signal.SIGSEGV)
