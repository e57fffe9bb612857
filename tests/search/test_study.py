"""Studies: variants and seeds laid out, failures isolated, finished runs taken as they are."""

from pathlib import Path

import pytest

from official_vision import formats
from official_vision.errors import UserError
from official_vision.search import study, study_report
from official_vision.search.study import ExpectedPeers, Outcome, Variant

BINDINGS = ['train/DataSpec.path = "data"', 'validation/DataSpec.path = "data"']
PEER = Variant("peer")
SELF = Variant("self", ('ModelSpec.gate = "self"', "TrainSpec.steps = 7"))


def test_variants_are_read():
    assert Variant.parse('self: ModelSpec.gate = "self"; TrainSpec.steps = 7') == SELF
    assert Variant.parse("peer:") == Variant.parse(" peer ") == PEER


@pytest.mark.parametrize("text", ["", ":", "../up: TrainSpec.steps = 7", "a b"])
def test_a_name_that_is_no_folder_is_refused(text):
    with pytest.raises(UserError, match="A variant is a name"):
        Variant.parse(text)


def test_expected_peers_are_read():
    assert ExpectedPeers.parse("0>6=2, 5") == ExpectedPeers(0, 6, (2, 5))
    for text in ("0>6", "0>6=", "0-6=2", "a>6=2"):
        with pytest.raises(UserError, match="SOURCE>CONSUMER=PEER,PEER"):
            ExpectedPeers.parse(text)


def planned(output, variants=(PEER, SELF), seeds=(3, 4), bindings=()):
    return study.plan([], [*BINDINGS, *bindings], variants, seeds, str(output))


def test_runs_differ_in_only_what_is_set(tmp_path):
    runs = planned(tmp_path, bindings=["TrainSpec.steps = 9"])
    assert [(run.variant.name, run.seed) for run in runs] == [
        ("peer", 3),
        ("self", 3),
        ("peer", 4),
        ("self", 4),
    ]
    for run in runs:
        is_self = run.variant is SELF
        assert run.config.model.gate == ("self" if is_self else "peer")
        assert run.config.train.steps == (7 if is_self else 9)
        assert run.config.train.seed == run.config.train_data.seed == run.seed
        assert run.config.validation_data.seed == 0
        assert run.folder == tmp_path / run.variant.name / f"seed-{run.seed}"


def test_names_must_differ(tmp_path):
    for variants in ((), (SELF, SELF)):
        with pytest.raises(UserError, match="variants of different names"):
            planned(tmp_path, variants)


def test_a_folder_of_other_settings_is_refused(tmp_path):
    runs = planned(tmp_path)
    runs[1].config.save(runs[1].folder)
    assert planned(tmp_path) == runs
    with pytest.raises(UserError, match=r"train\.steps was 7, is 8") as caught:
        planned(tmp_path, (Variant("self", (SELF.bindings[0], "TrainSpec.steps = 8")),))
    assert "seed-3" in str(caught.value)


def test_a_failed_run_stops_no_other_and_finished_ones_stay(tmp_path, monkeypatch):
    runs = planned(tmp_path)
    trained = []

    def child(config):
        trained.append(config.train.model_dir)
        if config.model.gate == "self" and config.train.seed == 3:
            return "the loss broke"
        figures = {"mAP": 0.25 * config.train.seed}
        best = {"mAP": 1.0}
        folder = Path(config.train.model_dir)
        folder.mkdir(parents=True)
        result = {"figures": figures, "best": best, "seconds": 1.5}
        formats.RESULT.write(folder / "result.json", result)
        return ""

    monkeypatch.setattr(study, "train_in_child", child)
    outcomes = study.carry_out(runs)
    assert trained == [str(run.folder) for run in runs]
    assert outcomes[0] == Outcome("peer", 3, 0.75, 1.0, 1.5, {"mAP": 0.75})
    assert outcomes[1] == Outcome("self", 3, failure="the loss broke")
    assert [outcome.value for outcome in outcomes[2:]] == [1.0, 1.0]
    trained.clear()
    study.carry_out(runs)
    assert trained == [str(runs[1].folder)]  # the one that failed is tried again


def test_the_table_by_hand():
    outcomes = [
        Outcome("a", 0, 0.5, figures={"top_1": 0.25}, peers_match=(True, True)),
        Outcome("a", 1, 0.75, figures={"top_1": 0.75}, peers_match=(True, False)),
        Outcome("a", 2, 0.625, figures={"top_1": 0.5}, peers_match=(True, True)),
        Outcome("b", 0, failure="broke"),
        Outcome("b", 1, 1.0, figures={"top_1": 0.25}),
        Outcome("b", 2, 0.625, figures={"top_1": None}),
    ]
    rows = study_report.rows_of([Variant("a"), Variant("b")], outcomes, ["top_1"])
    assert (rows[0].runs_that_match, rows[0].failed) == (2, 0)
    table = study_report.to_markdown(rows, "mAP", [ExpectedPeers(0, 6, (2,))]).splitlines()
    # Deviation: squares .125, .125 and 0 over n - 1. b less a, seeds 1 and 2: .25 and 0, of one seed -.5.
    assert table[2:] == [
        "| a | 3 | 0.6250 | 0.1250 | 0.5000 | 0.7500 |  | 0.5000 ± 0.2500 |  | 2 of 3 | 0 |",
        "| b | 2 | 0.8125 | 0.2652 | 0.6250 | 1.0000 | +0.1250 ± 0.1250 | 0.2500 | -0.5000 | 0 of 2 | 1 |",
    ]
    (only,) = study_report.rows_of([Variant("c")], [Outcome("c", 0, failure="broke")])
    assert (
        study_report.to_markdown([only], "mAP", []).splitlines()[2] == "| c | 0 |  |  |  |  | 1 |"
    )


def test_a_figure_that_no_run_has_is_refused():
    with pytest.raises(UserError, match=r"--figures .*Received: 'top_2'.*top_1"):
        study_report.rows_of(
            [Variant("a")], [Outcome("a", 0, 0.5, figures={"top_1": 0.25})], ["top_2"]
        )
