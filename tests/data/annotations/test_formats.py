"""The readers give one manifest for one content, and name file and line of every mistake."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision import specs
from official_vision.data.annotations.formats import READERS
from official_vision.data.annotations.manifest import Label, Manifest, VideoRow
from official_vision.data.annotations.reading import read_manifest, with_videos_folder
from official_vision.data.annotations.text import seconds
from official_vision.data.video.video_files import SUFFIXES, is_video
from official_vision.errors import UserError
from official_vision.serving.videos.video_list import find_videos

CSV = (
    "path,labels,split,start,end,id\n"
    "a.mp4,run;jump@1.5-4,train,,,\n"
    "sub/b.mp4,,validation,2,3.5,second\n"
    '"c, d.mp4",sit,train,1,,\n'
)
LINES = "\n".join(
    json.dumps(row)
    for row in (
        {
            "path": "a.mp4",
            "split": "train",
            "labels": ["run", {"name": "jump", "start": 1.5, "end": 4}],
        },
        {"path": "sub/b.mp4", "split": "validation", "start": 2, "end": 3.5, "id": "second"},
        {"path": "c, d.mp4", "split": "train", "labels": ["sit"], "start": 1, "id": "c, d.mp4@1-"},
    )
)
EXPECTED = Manifest(
    ("jump", "run", "sit"),
    (
        VideoRow("a.mp4", "a.mp4", "train", (Label(1), Label(0, 1.5, 4.0))),
        VideoRow("second", "sub/b.mp4", "validation", (), 2.0, 3.5),
        VideoRow("c, d.mp4@1-", "c, d.mp4", "train", (Label(2),), 1.0),
    ),
)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_specs_choices_are_the_readers():
    field = specs.PrepareSpec.__dataclass_fields__["annotation_format"]
    assert set(field.metadata["choices"]) == {"auto", *READERS}


def test_csv(tmp_path):
    assert READERS["csv"](write(tmp_path, "a.csv", CSV)) == EXPECTED


def test_csv_of_a_spreadsheet(tmp_path):
    """A byte order mark and Windows line ends change nothing."""
    text = "\ufeff" + CSV.replace("\n", "\r\n")
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    assert READERS["csv"](path) == EXPECTED


def test_json_lines(tmp_path):
    assert READERS["json_lines"](write(tmp_path, "a.jsonl", LINES + "\n\n")) == EXPECTED


def test_lines_end_where_editors_end_them(tmp_path):
    """Texts may hold U+2028, which str.splitlines takes for a line's end."""
    text = '{"path": "a\u2028b.mp4", "split": "train", "labels": ["x"]}\r\n\r\n{"path": 3}'
    with pytest.raises(UserError, match=r"a\.jsonl:3: path must be a text"):
        READERS["json_lines"](write(tmp_path, "a.jsonl", text))
    manifest = READERS["json_lines"](write(tmp_path, "b.jsonl", text.partition("\r")[0]))
    assert manifest.rows[0].path == "a\u2028b.mp4"


def test_folders(tmp_path):
    videos = ("train/run/b.mp4", "train/jump/a.MKV", "test/run/c.avi")
    others = ("test/run/notes.txt", "test/top.mp4", "train/run/deep/d.mp4", "test/.hidden")
    # What notebooks, file managers and macOS leave behind.
    hidden = ("train/.ipynb_checkpoints/b.mp4", ".ipynb_checkpoints/run/b.mp4", "train/run/._b.mp4")
    for name in (*videos, *others, *hidden, "train/run/.DS_Store"):
        touch(tmp_path / name)
    (tmp_path / "train/run/gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "test/all").symlink_to(tmp_path)  # without end
    manifest = READERS["folders"](tmp_path)
    assert manifest.classes == ("jump", "run")
    assert [(row.path, row.split, row.labels) for row in manifest.rows] == [
        ("test/run/c.avi", "test", (Label(1),)),
        ("train/jump/a.MKV", "train", (Label(0),)),
        ("train/run/b.mp4", "train", (Label(1),)),
    ]
    assert len({row.id for row in manifest.rows}) == 3
    # Nothing is passed over in silence.
    assert manifest.notes == (
        "2 videos that are not <split>/<class>/<video> are passed over, test/top.mp4 the first",
        "1 links that lead to nothing are passed over, train/run/gone.mp4 the first",
        "2 hidden videos are passed over, .ipynb_checkpoints/run/b.mp4 the first",
        "1 files without a video's ending are passed over, test/run/notes.txt the first",
    )


def test_folders_take_every_ending_that_predict_takes(tmp_path):
    for suffix in SUFFIXES:
        touch(tmp_path / f"train/run/a{suffix.upper()}")
    manifest = READERS["folders"](tmp_path)
    assert len(manifest.rows) == len(SUFFIXES) == len(set(SUFFIXES)) > 30
    assert manifest.notes == ()
    assert find_videos([str(tmp_path)], []) == [str(tmp_path / row.path) for row in manifest.rows]
    for ending in (".3gp", ".flv", ".gif", ".mts", ".ogv", ".ts", ".wmv"):
        assert is_video(Path(f"a{ending}"))


def test_folders_of_classes_alone_have_no_splits(tmp_path):
    for name in ("run/a.mp4", "jump/b.mp4"):
        touch(tmp_path / name)
    manifest = READERS["folders"](tmp_path)
    assert [(row.path, row.split) for row in manifest.rows] == [
        ("jump/b.mp4", ""),
        ("run/a.mp4", ""),
    ]
    assert manifest.classes == ("jump", "run")


def test_names_that_are_no_utf_8_are_shown_and_opened(tmp_path):
    """The folder is that of a disk from Windows: the class and the video hold the byte e9."""
    path = os.fsencode(tmp_path) + b"/train/caf\xe9/a\xe9.mp4"
    touch(Path(os.fsdecode(path)))
    manifest = READERS["folders"](tmp_path)
    (row,) = manifest.rows
    assert row.id == r"train/caf\xe9/a\xe9.mp4"
    assert manifest.classes == (r"caf\xe9",)
    assert os.fsencode(tmp_path / row.path) == path


def test_the_format_follows_from_the_path(tmp_path):
    touch(tmp_path / "videos/train/run/a.mp4")
    write(tmp_path, "a.CSV", CSV)
    write(tmp_path, "a.jsonl", LINES)
    for name, classes in (("a.CSV", 3), ("a.jsonl", 3), ("videos", 1)):
        spec = specs.PrepareSpec(annotations=str(tmp_path / name), output="x")
        assert len(read_manifest(spec).classes) == classes
    with pytest.raises(UserError, match=r"annotation_format says more\. Received: 'a\.tsv'"):
        read_manifest(specs.PrepareSpec(annotations="a.tsv", output="x"))


def test_videos_lie_beside_their_annotations_by_default(tmp_path):
    for name, folder in (("a.csv", tmp_path), ("", tmp_path), ("no/a.csv", tmp_path / "no")):
        spec = specs.PrepareSpec(annotations=str(tmp_path / name))
        assert with_videos_folder(spec).videos == str(folder)
    assert with_videos_folder(specs.PrepareSpec(annotations="x", videos="y")).videos == "y"


def test_folders_do_not_depend_on_where_they_lie(tmp_path):
    for place in ("here", "there"):
        path = tmp_path / place / "train/run/a.mp4"
        path.parent.mkdir(parents=True)
        path.touch()
    assert READERS["folders"](tmp_path / "here") == READERS["folders"](tmp_path / "there")


@pytest.mark.parametrize("name", ["csv", "json_lines"])
def test_classes_beside_the_file_fix_the_order(tmp_path, name):
    write(tmp_path, "classes.txt", "sit\nrun\n\njump\nstand\n")
    path = write(tmp_path, "a", CSV if name == "csv" else LINES)
    manifest = READERS[name](path)
    assert manifest.classes == ("sit", "run", "jump", "stand")
    assert manifest.rows[0].labels == (Label(1), Label(2, 1.5, 4.0))


def test_classes_named_twice_are_refused(tmp_path):
    write(tmp_path, "classes.txt", "sit\nsit\n")
    with pytest.raises(UserError, match=r"classes\.txt: a class is named once"):
        READERS["csv"](write(tmp_path, "a.csv", CSV))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a\.csv:1: the header must name"),
        ("path,split\n", r"a\.csv:1: .*Add 'labels'"),
        ("path;labels;split\n", r"a\.csv:1: .*separated by commas.*Add 'path'"),
        ("path,labels,labels\n", r"a\.csv:1: a column is named once"),
        ("path,labels,split,ende\n", r"'ende'\. Did you mean 'end'"),
        ("path,labels,split\n", r"names none"),
        ("path,labels,split\na.mp4,run\n", r"a\.csv:2: a line has a value for every column"),
        ("path,labels,split\na.mp4,run,x,y\n", r"a\.csv:2: a line has a value for every column"),
        ("path,labels,split\n,run,x\n", r"a\.csv:2: a path must be named"),
        ("path,labels,split\na.mp4,run@1,x\n", r"a\.csv:2: a timed label is name@start-end"),
        ("path,labels,split\na.mp4,run@4-1,x\n", r"a\.csv:2: a span needs"),
        ("path,labels,split\na.mp4,run@a-1,x\n", r"a\.csv:2: a time must be .*'a'"),
        ("path,labels,split\na.mp4,@1-2,x\n", r"a\.csv:2: a label needs a name"),
        ("path,labels,split,start\na.mp4,,x,inf\n", r"a\.csv:2: a time must be"),
        ("path,labels,split\na,,x\nb,,x\na,,x\n", r"a\.csv:4: .*first at .*a\.csv:2"),
        ('path,labels,split\n"a"b,,x\n', r"a\.csv:2: the line is not csv"),
        ("path,labels,split\na,run,x\nb,run,\n", r"a\.csv:3: either every video names its split"),
        (
            "path,labels,split\na,run,x\nb,run,X\n",
            r"a\.csv:3: splits must differ in more than case",
        ),
    ],
)
def test_csv_mistakes_name_the_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as raised:
        READERS["csv"](write(tmp_path, "a.csv", text))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"a:2: the line must be JSON\."),
        ("[]", r"a:2: the line must be a JSON object"),
        ('{"split": "x"}', r"a:2: path must be a text\. Received: None"),
        ('{"path": "a", "split": 3}', r"a:2: split must be a text\. Received: 3"),
        ('{"path": "a", "split": "x", "label": []}', r"'label'\. Did you mean 'labels'"),
        ('{"path": "a", "split": "x", "labels": "run"}', r"a:2: labels must be a list"),
        ('{"path": "a", "split": "x", "labels": [1]}', r"a:2: a label is a text or"),
        ('{"path": "a", "split": "x", "labels": [""]}', r"a:2: a label is a text or"),
        ('{"path": "a", "split": "x", "labels": [{"start": 1}]}', r"a:2: name must be a text"),
        ('{"path": "a", "split": "x", "start": true}', r"a:2: start must be a number"),
        ('{"path": "a", "split": "x", "start": 2, "end": 1}', r"a:2: a span needs"),
        ('{"path": "a", "split": "x", "start": NaN}', r"a:2: start must be a finite"),
        ("[" * 100000, r"a:2: the line must be JSON"),
        ('{"path": "a", "end": Infinity}', r"a:2: end must be a finite number .* Received: inf\."),
        ('{"path": "a", "end": 1' + "0" * 400 + "}", r"a:2: end must be a finite number"),
        ('{"path": "a", "path": "b"}', r"a:2: the line must be JSON\. Received: 'path' twice"),
        ('{"path": "a", "labels": [{"name": "b", "strat": 1}]}', r"'strat'\. Did you mean 'start'"),
    ],
)
def test_json_mistakes_name_the_line(tmp_path, line, message):
    with pytest.raises(UserError, match=message) as raised:
        READERS["json_lines"](write(tmp_path, "a", f"\n{line}\n"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "split",
    [
        "../../x",
        "/abs",
        "a/b",
        "..",
        ".",
        ".hidden",
        "~",
        "a\\b",
        "a\0b",
        "a\nb",
        "é" * 128,
        "\x1b[2J",
    ],
)
@pytest.mark.parametrize("reader", ["csv", "json_lines"])
def test_a_split_is_one_plain_name(tmp_path, split, reader):
    """It becomes a folder of the output: it must not lead out of it."""
    path = tmp_path / "a"
    if reader == "csv":
        path.write_text(f'path,labels,split\na,run,"{split}"\n')
    else:
        path.write_text(json.dumps({"path": "a", "labels": [], "split": split}))
    with pytest.raises(UserError, match=r"a:[123]: a split's name ") as raised:
        READERS[reader](path)
    assert "\n" not in str(raised.value)


def test_equal_names_are_spelled_in_one_way(tmp_path):
    """Letters composed and decomposed, and blanks around names, make no second class."""
    rows = "a.mp4,caf\u00e9,train\nb.mp4,cafe\u0301 ; jump,train\nc.mp4,jump @1-2,train\n"
    manifest = READERS["csv"](write(tmp_path, "a.csv", f"path,labels,split\n{rows}"))
    assert manifest.classes == ("caf\u00e9", "jump")
    assert manifest.notes == ()
    write(tmp_path, "classes.txt", "jump\ncafe\u0301\n")
    lines = json.dumps({"path": "a", "labels": [" caf\u00e9"], "split": "train"})
    assert READERS["json_lines"](write(tmp_path, "b", lines)).classes == ("jump", "caf\u00e9")


def test_classes_that_differ_in_case_are_noted(tmp_path):
    path = write(tmp_path, "a.csv", "path,labels,split\na,Run;run;ｒｕｎ;jump,x\n")
    manifest = READERS["csv"](path)
    assert len(manifest.classes) == 4
    assert [note[:26] for note in manifest.notes] == [
        "classes 'Run' and 'run' ar",
        "classes 'Run' and 'ｒｕｎ' ar",
    ]


def test_a_csv_may_name_files_that_are_no_utf_8(tmp_path):
    name = b"caf\xe9.mp4"
    path = tmp_path / "a.csv"
    path.write_bytes(b"path,labels,split\n" + name + b",run,train\n")
    with pytest.raises(UserError, match=r"a\.csv:2: text is UTF-8.*'caf\\\\xe9\.mp4'"):
        READERS["csv"](path, videos=tmp_path)
    touch(tmp_path / os.fsdecode(name))
    (row,) = READERS["csv"](path, videos=tmp_path).rows
    assert (os.fsencode(row.path), row.id) == (name, r"caf\xe9.mp4")
    path.write_bytes(b"path,labels,split\nb.mp4,caf\xe9,train\n")
    with pytest.raises(UserError, match=r"a\.csv:2: a class's name is text of one line, in UTF-8"):
        READERS["csv"](path)


def test_unreadable_files_are_named(tmp_path):
    latin = tmp_path / "latin.csv"
    latin.write_bytes("path,labels,split\nä.mp4,,x\n".encode("latin-1"))
    for name in ("csv", "json_lines"):
        with pytest.raises(UserError, match=r"latin\.csv"):
            READERS[name](latin)
        with pytest.raises(UserError, match=r"no\.csv \(No such file"):
            READERS[name](tmp_path / "no.csv")
        with pytest.raises(UserError, match="Is a directory"):
            READERS[name](tmp_path)
    with pytest.raises(UserError, match="must be a folder"):
        READERS["folders"](latin)
    with pytest.raises(UserError, match="names none"):
        READERS["folders"](tmp_path)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_times_survive_their_spelling(value):
    assert seconds(repr(value), "here") == value


@pytest.mark.parametrize("text", ["nan", "inf", "1:30", "x"])
def test_other_times_are_refused(text):
    with pytest.raises(UserError, match=r"^here: a time must be a number of seconds"):
        seconds(text, "here")
