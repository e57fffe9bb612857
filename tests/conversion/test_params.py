"""The entries of params.yaml that decide how a checkpoint is read."""

import re

import numpy as np
import pytest

from official_vision.conversion.authors.authors_checkpoint import convert
from official_vision.conversion.authors.params import find_params
from official_vision.conversion.converted import Options
from official_vision.errors import UserError
from tests.conversion import stored

ORIGINAL = (stored.DATA / "plus_26" / "params.yaml").read_text()


def params_with(folder, pattern, replacement):
    """A copy of the port's file in which one line is another; returns its path."""
    text, count = re.subn(pattern, replacement, ORIGINAL, count=1)
    assert count == 1
    (folder / "changed.yaml").write_text(text)
    return str(folder / "changed.yaml")


def refusal(path, options):
    with pytest.raises(UserError) as error:
        convert(path, options)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_the_file_is_looked_for_beside_the_checkpoint_and_above(tmp_path):
    (tmp_path / "best_ckpt").mkdir()
    prefix = stored.copy("plus_26", tmp_path / "best_ckpt")
    assert find_params(prefix, "") is None
    (tmp_path / "params.yaml").write_text(ORIGINAL)
    params = find_params(prefix, "")
    assert (params.kind, params.depth, params.attention) == ("assemblenet_plus", 26, "self")
    assert params.structure == [row[:5] for row in stored.ROWS]
    assert params.edge_weights[12] == [0.25, 0.75, 0.35]


@pytest.mark.parametrize(
    ("mode", "attention"), [("None", "self"), ("null", "off"), ("peer", "peer"), ("self", "self")]
)
def test_attention_is_read_as_the_port_reads_it(mode, attention, tmp_path):
    path = params_with(tmp_path, r"attention_mode: None", f"attention_mode: {mode}")
    assert find_params("", path).attention == attention


def test_peer_attention_and_concatenation_are_refused_with_the_reason(tmp_path):
    path = params_with(tmp_path, r"attention_mode: None", "attention_mode: peer")
    message = refusal(stored.prefix("plus_26"), Options(params=path))
    assert "weights h of a gate's peers are random constants that are in no checkpoint" in message
    text = (stored.DATA / "v1_26" / "params.yaml").read_text()
    path = tmp_path / "concat.yaml"
    path.write_text(text.replace("combine_method: sigmoid", "combine_method: concat"))
    message = refusal(stored.prefix("v1_26"), Options(params=str(path)))
    assert "combine_method is concat" in message


def test_with_attention_off_gates_are_open_but_where_a_block_has_one_input(tmp_path):
    """The port gates blocks of one input all the same: nodes 11 and 13."""
    layers = {name.split("/")[0] for name, _, _ in stored.variables_of("plus_26")}
    denses = sorted((name for name in layers if name.startswith("dense")), key=_number)
    # In the order of nodes: gates of 8, 9 (4 each), 10 (2 of 3), 11, 12 (2 of 3), 13, 14 (3), classifier.
    assert len(denses) == 4 + 4 + 2 + 1 + 2 + 1 + 3 + 1
    gone = {*denses} - {denses[10], denses[13], denses[17]}
    prefix = stored.rewrite("plus_26", tmp_path, lambda name: name.split("/")[0] in gone)
    params = params_with(tmp_path, r"attention_mode: None", "attention_mode: null")
    off = convert(prefix, Options(params=params)).model.blocks()
    on = convert(stored.prefix("plus_26"), Options()).model.blocks()
    dropped = {(10, 9), (12, 9)}  # closed, whatever their gates are
    for index, block in off.items():
        for fed, gate, other in zip(
            stored.ROWS[index][1], block.gates, on[index].gates, strict=True
        ):
            source = np.random.default_rng(0).normal(size=(3, gate.channels)).astype("float32")
            expected = other(source).numpy() if index in (11, 13) else np.ones(source.shape)
            if (index, fed) not in dropped:
                np.testing.assert_array_equal(gate(source), expected)


def _number(layer):
    return int(layer.partition("_")[2] or 0)


def test_inputs_centred_at_zero_and_several_labels_become_settings(tmp_path):
    path = params_with(tmp_path, r"zero_centering_image: false", "zero_centering_image: true")
    (tmp_path / "changed.yaml").write_text(
        (tmp_path / "changed.yaml")
        .read_text()
        .replace("is_multilabel: false", "is_multilabel: true")
    )
    spec = convert(stored.prefix("plus_26"), Options(params=path)).spec
    assert (spec.rgb_mean, spec.rgb_deviation, spec.activation) == (0.5, 0.5, "sigmoid")


def test_another_epsilon_goes_into_the_moving_variances(tmp_path):
    path = params_with(tmp_path, r"norm_epsilon: 1.0e-05", "norm_epsilon: 0.001")
    changed = convert(stored.prefix("plus_26"), Options(params=path)).model
    usual = convert(stored.prefix("plus_26"), Options()).model
    for variable, other in zip(changed.weights, usual.weights, strict=True):
        shift = 0.001 - 1e-5 if "moving_variance" in variable.name else 0
        if "gate_9_" not in variable.name:
            np.testing.assert_allclose(variable - other, np.full(variable.shape, shift), atol=1e-6)


def test_a_file_that_is_no_params_yaml_gets_one_line(tmp_path):
    for text in ("[1, 2", "- 1", "task: 3", "a: !!python/object/apply:os.system ['true']", "\x00"):
        (tmp_path / "bad.yaml").write_text(text)
        message = refusal(stored.prefix("plus_26"), Options(params=str(tmp_path / "bad.yaml")))
        assert message.startswith("params.yaml must be of a run of the authors' Model Garden port.")
    message = refusal(stored.prefix("plus_26"), Options(params=str(tmp_path / "none.yaml")))
    assert "No such file" in message
    for line, other in (
        ("level: 3", "level: three"),
        ("norm_epsilon: 1.0e-05", "norm_epsilon: -1"),
    ):
        refusal(stored.prefix("plus_26"), Options(params=params_with(tmp_path, line, other)))
