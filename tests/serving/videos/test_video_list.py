"""The list of videos, the paths of their files, and which are done."""

import json
import os

import numpy as np
import pytest

from official_vision import files, formats
from official_vision.data.video_streams import FrameStreams
from official_vision.errors import UserError
from official_vision.serving.predict.annotated_video import Annotation, ShownFrame, write_overlay
from official_vision.serving.predict.prediction_files import Outputs, outputs_of, write_all
from official_vision.serving.videos.video_list import find_videos
from tests.serving import exports


def test_folders_and_lists_are_read_in_order(tmp_path):
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.mp4", "a.MOV", "deep/c.mkv", "notes.txt", ".hidden.mp4"):
        (folder / name).write_text("")
    listed = tmp_path / "list.txt"
    listed.write_text("# chosen\nfolder/b.mp4\n\n  other.mp4  \n", encoding="utf-8")
    videos = find_videos([str(tmp_path / "x.mp4"), str(folder)], [str(listed)])
    # b.mp4 is named twice and predicted once.
    expected = ["x.mp4", "folder/a.MOV", "folder/b.mp4", "folder/deep/c.mkv", "other.mp4"]
    assert videos == [str(tmp_path / name) for name in expected]


def test_what_notebooks_and_file_managers_leave_is_no_video(tmp_path):
    for name in ("b.mp4", "._b.mp4", ".ipynb_checkpoints/b.mp4", "a.mp4/c.txt", "z.OGV"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "gone.mp4").symlink_to("nowhere.mp4")  # which prediction then names
    (tmp_path / "again").symlink_to(tmp_path)
    videos = find_videos([str(tmp_path)], [])
    assert videos == [str(tmp_path / name) for name in ("b.mp4", "gone.mp4", "z.OGV")]


def test_lists_of_windows_and_of_foreign_bytes(tmp_path):
    composed, decomposed = "caf\u00e9.mp4", "cafe\u0301.mp4"
    (tmp_path / decomposed).touch()
    lines = ["one.mp4", composed, "a\u2028b.mp4", "12:30:05.mp4"]
    listed = tmp_path / "list.txt"
    listed.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\ncaf\xe9.mp4\r\n")
    expected = ["one.mp4", decomposed, "a\u2028b.mp4", "12:30:05.mp4", os.fsdecode(b"caf\xe9.mp4")]
    assert find_videos([], [str(listed)]) == [str(tmp_path / name) for name in expected]
    listed.write_bytes("one.mp4\n".encode("utf-16"))
    with pytest.raises(UserError, match=r"list\.txt \(it is not UTF-8\)"):
        find_videos([], [str(listed)])


def test_files_of_any_name_get_outputs_that_a_disk_takes(tmp_path):
    names = [
        "a" * 251,
        "a" * 250 + "b",
        "\u8dd1" * 83,
        os.fsdecode(b"caf\xe9"),
        "two\nlines",
        "X",
        "x",
    ]
    named = outputs_of([f"{name}.mp4" for name in names], tmp_path, overlay=True)
    for outputs in named.values():
        for path in (outputs.json, outputs.timeline, outputs.overlay):
            path.write_text("")
    assert len(list(tmp_path.iterdir())) == 3 * len(names)
    assert [outputs.json.name for outputs in named.values()][3:] == [
        r"caf\xe9.json",
        r"two\nlines.json",
        "X.json",
        "x-2.json",
    ]


def test_folders_and_lists_without_videos_are_mistakes(tmp_path):
    with pytest.raises(UserError, match="has none"):
        find_videos([str(tmp_path)], [])
    empty, binary = tmp_path / "empty.txt", tmp_path / "binary.txt"
    empty.write_text("# nothing\n")
    binary.write_bytes(b"\0\xff\xfe")
    for path, message in (
        (empty, "names none"),
        (binary, "a text file"),
        (tmp_path / "no", "No such"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            find_videos([], [str(path)])
        assert str(path) in str(caught.value)


def test_videos_of_one_name_get_different_files(tmp_path):
    named = outputs_of(["a/x.mp4", "b/x.mp4", "b/x-2.mp4"], tmp_path / "out", overlay=True)
    files = [outputs.json.name for outputs in named.values()]
    assert files == ["x.json", "x-2.json", "x-2-2.json"]
    assert named["a/x.mp4"].overlay == tmp_path / "out" / "x.annotated.mp4"
    assert outputs_of(["x.mp4"], tmp_path, overlay=False)["x.mp4"].overlay is None
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--output_dir must name a folder"):
        outputs_of(["x.mp4"], tmp_path / "file", overlay=False)


def test_only_what_is_whole_and_was_requested_alike_is_done(tmp_path):
    outputs = Outputs(tmp_path / "x.json", tmp_path / "x.png", tmp_path / "x.mp4")
    request, prediction = {"stride": 2, "video": ["x", [3, 4]]}, {"classes": []}
    assert not outputs.done(request)
    content = {"request": request, "prediction": prediction}
    formats.PREDICTION.write(outputs.json, content)
    outputs.timeline.write_text("")
    assert not outputs.done(request)  # the annotated video lacks
    outputs.overlay.write_text("")
    assert outputs.done(request)
    outputs.check_replaceable()
    assert not outputs.done({**request, "stride": 3})
    files.write_json(outputs.json, {**formats.PREDICTION.header, "version": 0, **content})
    assert not outputs.done(request)  # of another version: it is made again
    outputs.check_replaceable()
    for content in ("", "[]", '{"prediction": 1}'):
        outputs.json.write_text(content)
        assert not outputs.done(request)
        with pytest.raises(UserError, match=r"only what this command wrote\. Received: .*x\.json"):
            outputs.check_replaceable()
    outputs.json.unlink()
    outputs.check_replaceable()


def test_annotated_videos_of_a_folder_are_left_out(tmp_path):
    """By the mark that they carry, not by a name that a user's video may have too."""
    frames = [np.zeros((32, 32, 3), np.uint8)] * 2
    mine = exports.write_video(tmp_path / "mine.annotated.mp4", frames)
    streams = FrameStreams(frames[0], None, None, 0.0)
    annotation = Annotation(("a",), np.zeros((1, 1)), np.array([0, 1.0]))
    made = tmp_path / "made.annotated.mp4"
    write_overlay(made, [ShownFrame(frames[0], 0.0, 0, streams)], annotation)
    assert find_videos([str(tmp_path)], []) == [str(mine)]
    assert find_videos([str(made)], []) == [str(made)]  # a file that is named is meant


def test_predictions_of_many_videos_are_one_list(tmp_path):
    written = []
    for number in range(2):
        outputs = Outputs(tmp_path / f"{number}.json", tmp_path / "x.png", None)
        formats.PREDICTION.write(outputs.json, {"request": {}, "prediction": {"video": number}})
        written.append(outputs)
    for count in (0, 1, 2):
        write_all(tmp_path / "all.json", written[:count])
        expected = [{"video": number} for number in range(count)]
        assert json.loads((tmp_path / "all.json").read_text()) == expected
