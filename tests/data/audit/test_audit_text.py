"""The printed audit has every figure, and names that fit on a screen."""

import re

from official_vision.data.audit.audit import Audit, SplitAudit, Spread
from official_vision.data.audit.audit_text import report
from official_vision.data.audit.finding import KINDS, Finding

SPREADS = {"seconds": Spread(1.25, 3.5, 30.0), "short side": Spread(144, 240, 720)}
SPLITS = (
    SplitAudit("test", 2, 1, (1, 0), {}),
    SplitAudit("train", 14, 0, (12, 3), SPREADS),
)


def test_figures_and_classes_are_printed():
    text = report(Audit(("run", "jump high"), SPLITS, ()))
    assert "train: 14 videos, 0 of them without a label" in text
    assert re.search(r"seconds +median 3\.5, 1\.25 to 30 s$", text, re.M)
    assert re.search(r"short side +median 240, 144 to 720 pixels$", text, re.M)
    assert re.search(r"^run +1 +12$", text, re.M)
    assert re.search(r"^jump high +0 +3$", text, re.M)
    assert text.endswith("no problem was detected")


def test_every_kind_of_finding_is_printed_in_order():
    findings = tuple(Finding(kind, f"about {kind}", "so it is") for kind in KINDS)
    text = report(Audit(("run",), (), findings))
    places = [text.index(f"{KINDS[kind]}: 1\n  about {kind}: so it is") for kind in KINDS]
    assert places == sorted(places)
    assert "no problem" not in text


def test_long_lists_end_with_their_number():
    findings = tuple(Finding("missing", f"v{n:02d}.mp4", "lost") for n in range(25))
    text = report(Audit(("run",), (), findings))
    assert "videos that are not there: 25" in text
    assert "v19.mp4" in text
    assert "v20.mp4" not in text
    assert "and 5 more, which --json names" in text
