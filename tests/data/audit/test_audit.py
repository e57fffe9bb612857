"""The audit finds what was put in: counts by hand, copies, lost and broken files, wrong headers."""

import dataclasses
import errno
import shutil

import numpy as np
import pytest

from official_vision.data.annotations.manifest import Label, Manifest, VideoRow
from official_vision.data.audit import file_survey as survey
from official_vision.data.audit.audit import Audit, Spread, audit
from official_vision.data.audit.finding import KINDS
from official_vision.data.prepare.decoding_worker import DecodingFailedError
from official_vision.data.video import VideoError
from official_vision.specs import PrepareSpec
from tests.data.video import odd

CLASSES = ("run", "jump", "sit")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_mp4):
    """Videos of 10, 20 and 30 frames, 32 to 64 pixels short, at 10 or 20 frames per second."""
    folder = tmp_path_factory.mktemp("videos")
    for name, count, size, rate in (("a", 10, 32, 10), ("b", 20, 48, 10), ("c", 30, 64, 20)):
        frames = [np.full((size, 2 * size, 3), 5 * n + count, np.uint8) for n in range(count)]
        write_mp4(folder / f"{name}.mp4", frames, rate=rate)
    shutil.copy(folder / "a.mp4", folder / "copy of a.mp4")
    (folder / "broken.mp4").write_text("no video")
    return folder


class HereWorker:
    """Surveys in this process: starting children takes seconds."""

    def survey(self, row, spec, decode):
        try:
            return survey.survey(row, spec, decode, lambda: None)
        except VideoError as error:
            raise DecodingFailedError(str(error)) from error

    def close(self):
        pass


@pytest.fixture(autouse=True)
def _no_children(monkeypatch):
    monkeypatch.setattr("official_vision.data.audit.audit.DecodingWorker", HereWorker)


def spec_of(folder):
    return PrepareSpec(annotations="-", videos=str(folder), output=str(folder / "shards"))


def look(folder, rows, notes=(), **kwargs):
    return audit(Manifest(CLASSES, tuple(rows), notes), spec_of(folder), **kwargs)


def row(name, split="train", labels=(0,), **settings):
    path = settings.pop("path", f"{name}.mp4")
    return VideoRow(name, path, split, tuple(Label(n) for n in labels), **settings)


def findings(report: Audit, kind):
    return [(finding.about, finding.detail) for finding in report.findings if finding.kind == kind]


def test_figures_of_a_sound_data_set(folder):
    rows = [row("a", labels=(0, 1, 1)), row("b", labels=(0, 2)), row("c", "test", (0, 1, 2))]
    report = look(folder, rows)
    assert report.findings == ()
    train, test = report.splits[1], report.splits[0]
    assert (train.name, train.videos, train.unlabelled) == ("train", 2, 0)
    assert train.class_counts == (2, 1, 1)  # a class counts once per video
    assert train.spreads == {
        "seconds": Spread(1.0, 1.5, 2.0),
        "short side": Spread(32, 40, 48),
        "frames per second": Spread(10.0, 10.0, 10.0),
    }
    assert test.spreads["seconds"] == Spread(1.5, 1.5, 1.5)


def test_the_used_part_of_a_file_is_what_lasts(folder):
    rows = [
        row("first", path="b.mp4", end_sec=0.5),
        row("rest", path="b.mp4", start_sec=0.5),
        row("whole", path="b.mp4", labels=(1, 2)),
    ]
    assert look(folder, rows).splits[0].spreads["seconds"] == Spread(0.5, 1.5, 2.0)


def test_lost_broken_and_unlabelled_videos_are_named(folder):
    rows = [row("a", labels=()), row("broken"), row("lost"), row("b", labels=(1, 2))]
    report = look(folder, rows, notes=("x.csv:7: an end was moved", "3 videos left aside"))
    assert findings(report, "missing") == [("lost.mp4", f"there is no {folder}/lost.mp4")]
    ((about, detail),) = findings(report, "undecodable")
    assert about == "broken.mp4"
    assert "not a readable video" in detail
    assert findings(report, "unlabelled") == [("a", "in train")]
    assert findings(report, "mended") == [
        ("x.csv:7", "an end was moved"),
        ("annotations", "3 videos left aside"),
    ]
    # Broken videos have no length; the sound ones still count.
    assert report.splits[0].spreads["seconds"] == Spread(1.0, 1.5, 2.0)
    kinds = [finding.kind for finding in report.findings]
    assert kinds == sorted(kinds, key=list(KINDS).index)


def test_classes_that_a_split_lacks_are_named_unless_it_has_no_labels(folder):
    rows = [row("a", labels=(0, 2)), row("b", "validation", (0, 1, 2)), row("c", "test", ())]
    report = look(folder, rows)
    assert findings(report, "class_without_videos") == [("jump", "none in train")]


def test_leakage_by_file_by_content_and_by_group(folder):
    rows = [
        row("b1", path="b.mp4", labels=(0, 1, 2), end_sec=1.0),
        row("b2", "test", path="b.mp4", labels=(0, 1, 2), start_sec=1.0),
        row("a", group="person 1"),
        row("copy of a", "test"),
        row("c", "test", group="person 1"),
    ]
    assert findings(look(folder, rows), "leakage") == [
        ("b.mp4", "the file is in test and train"),
        ("person 1", "the group is in test and train"),
        ("a.mp4", "has the content of copy of a.mp4, in test and train"),
    ]


def test_equal_content_within_a_split_is_no_leakage(folder):
    rows = [row("a", labels=(0, 1, 2)), row("copy of a", group="one"), row("b", group="one")]
    assert look(folder, rows).findings == ()


def test_a_file_that_cannot_be_read_is_a_finding(folder, monkeypatch):
    """Two of one size are compared by content; root reads everything, so the system's refusal is played."""

    def refused(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("official_vision.data.audit.audit.files.sha256", refused)
    rows = [
        row("a", labels=(0, 1, 2)),
        row("copy of a", "test", labels=(0, 1, 2)),
        row("\0"),
        row("x" * 300),
    ]
    report = look(folder, rows)
    assert [about for about, _ in findings(report, "missing")] == ["\0.mp4", f"{'x' * 300}.mp4"]
    assert findings(report, "leakage") == []


@pytest.mark.parametrize("decode", [False, True])
def test_frames_are_counted(folder, decode):
    rows = [row("c", labels=(0, 1, 2))]
    assert look(folder, rows, decode=decode).findings == ()
    seen = HereWorker().survey(rows[0], spec_of(folder), decode)
    assert (seen.named, seen.frames, seen.end_sec) == (30, 30, 1.5)


def test_progress_sees_every_file_once(folder):
    seen = []

    def progress(items, length, name):
        seen.append((length, name))
        return items

    rows = [row("b", end_sec=1.0), row("rest", path="b.mp4"), row("lost", labels=(1, 2))]
    look(folder, rows, progress=progress)
    assert seen == [(2, "videos")]


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory):
    """A video of each kind that can be used but should be known."""
    folder = tmp_path_factory.mktemp("odd")
    plain = odd.write(folder / "plain.mp4", odd.greys(25), bf="0", g="5")
    odd.remux(plain, folder / "pause.mp4", odd.moved(2.0, 10))
    odd.remux(plain, folder / "cover.mkv", cover_first=True)
    odd.remux(plain, folder / "cut.mp4", odd.moved(-0.4))
    first = odd.write(folder / "first.ts", odd.greys(5), bf="0")
    later = odd.write(folder / "later.ts", odd.greys(5), bf="0", start_sec=100)
    long = odd.write(folder / "long.ts", odd.greys(30), bf="0")
    other = odd.write(folder / "other.ts", odd.greys(5, 64, 32), bf="0", start_sec=1.2)
    odd.joined(folder / "joined.ts", first, later)
    odd.joined(folder / "sizes.ts", long, other)
    odd.broken(plain, folder / "broken.mp4", 9)
    odd.write(folder / "flat.mkv", odd.greys(2, 4, 640), codec="ffv1")
    return folder


ODD = {
    "plain.mp4": {},
    "cut.mp4": {},  # what an edit list hides is neither shown nor missed
    "pause.mp4": {"variable_rate": "frames lie up to 1.17 s from where 8.333 a second would put"},
    "cover.mkv": {"several_streams": "2 of them"},
    "joined.ts": {"time_jumps": "the clock jumps by +99.8 s at 0.20 s; times were continued there"},
    "sizes.ts": {"changing_size": "frames are of 64 x 48, then 32 x 64; all were scaled"},
    "flat.mkv": {"undecodable": "frames of 640 x 4 pixels, one side more than 64 times"},
}


@pytest.mark.parametrize("decode", [False, True])
def test_odd_videos_are_named_with_and_without_decoding(odd_folder, decode):
    rows = [row(name, path=name, labels=(0, 1, 2)) for name in ODD]
    named = look(odd_folder, rows, decode=decode).findings
    assert {f.about: f.kind for f in named} == {n: next(iter(k)) for n, k in ODD.items() if k}
    for finding in named:
        assert ODD[finding.about][finding.kind] in finding.detail


def test_packets_that_may_be_broken_are_counted_where_they_are_decoded(odd_folder):
    rows = [row("broken", labels=(0, 1, 2))]
    (finding,) = look(odd_folder, rows, decode=True).findings
    assert (finding.kind, finding.about) == ("undecodable", "broken.mp4")
    spec = dataclasses.replace(spec_of(odd_folder), broken_packet_share=0.1)
    named = audit(Manifest(CLASSES, tuple(rows)), spec, decode=True).findings
    assert {f.kind: f.detail for f in named} == {
        "broken_packets": "1 of 25 packets cannot be decoded and were passed over",
        "frame_count": "its header names 25 frames, 24 can be decoded",
    }


def test_labels_and_parts_past_the_end_are_named(odd_folder):
    """The file lasts 1 s; a tenth of a second more is rounding."""
    labels = (Label(0, 0.0, 1.1), Label(1, 0.5, 1.2), Label(2, 3.0), Label(2, None, 1.0))
    rows = [
        VideoRow("a", "plain.mp4", "train", labels),
        VideoRow("b", "plain.mp4", "train", (), 0.5, 1.1),
        VideoRow("c", "plain.mp4", "train", (Label(0),), 0.5, 2.0),
    ]
    assert findings(look(odd_folder, rows), "labels_past_end") == [
        ("a", "'jump' from 0.5 s to 1.2 s ends after the video, 1.00 s"),
        ("a", "'sit' from 3 s ends after the video, 1.00 s"),
        ("c", "its part from 0.5 s to 2 s ends after the video, 1.00 s"),
    ]
