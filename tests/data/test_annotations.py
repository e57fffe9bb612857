"""The readers give one manifest for one content, and name file and line of every mistake."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision import specs
from official_vision.data.annotations import READERS
from official_vision.data.annotations.text import seconds
from official_vision.data.manifest import Label, Manifest, VideoRow
from official_vision.errors import UserError

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


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_specs_choices_are_the_readers():
    field = specs.PrepareSpec.__dataclass_fields__["annotation_format"]
    assert set(field.metadata["choices"]) == set(READERS)


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
    for name in (*videos, *others):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    manifest = READERS["folders"](tmp_path)
    assert manifest.classes == ("jump", "run")
    assert [(row.path, row.split, row.labels) for row in manifest.rows] == [
        ("test/run/c.avi", "test", (Label(1),)),
        ("train/jump/a.MKV", "train", (Label(0),)),
        ("train/run/b.mp4", "train", (Label(1),)),
    ]
    assert len({row.id for row in manifest.rows}) == 3
    # Nothing is passed over in silence.
    assert [(note[:14], note[note.index("(") :]) for note in manifest.notes] == [
        ("2 files *.mp4 ", "(test/top.mp4, ...)"),
        ("1 files *.txt ", "(test/run/notes.txt, ...)"),
    ]


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
        ("path,labels,split,ende\n", r"'ende'\. Did you mean 'end'"),
        ("path,labels,split\n", r"names none"),
        ("path,labels,split\na.mp4,run\n", r"a\.csv:2: a line has a value for every column"),
        ("path,labels,split\na.mp4,run,x,y\n", r"a\.csv:2: a line has a value for every column"),
        ("path,labels,split\n,run,x\n", r"a\.csv:2: path and split must be given"),
        ("path,labels,split\na.mp4,run@1,x\n", r"a\.csv:2: a timed label is name@start-end"),
        ("path,labels,split\na.mp4,run@4-1,x\n", r"a\.csv:2: a span needs"),
        ("path,labels,split\na.mp4,run@a-1,x\n", r"a\.csv:2: a time must be .*'a'"),
        ("path,labels,split\na.mp4,@1-2,x\n", r"a\.csv:2: a label needs a name"),
        ("path,labels,split,start\na.mp4,,x,inf\n", r"a\.csv:2: a time must be"),
        ("path,labels,split\na,,x\nb,,x\na,,x\n", r"a\.csv:4: .*first at .*a\.csv:2"),
        ('path,labels,split\n"a"b,,x\n', r"a\.csv:2: the line is not csv"),
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
        ('{"path": "a", "split": "x", "start": NaN}', r"a:2: a span needs"),
        ("[" * 100000, r"a:2: the line must be JSON"),
    ],
)
def test_json_mistakes_name_the_line(tmp_path, line, message):
    with pytest.raises(UserError, match=message) as raised:
        READERS["json_lines"](write(tmp_path, "a", f"\n{line}\n"))
    assert "\n" not in str(raised.value)


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
