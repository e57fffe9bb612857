"""Specs check every setting and survive JSON."""

import dataclasses
import inspect
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision import specs
from official_vision.architecture.formats import from_json, to_json
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.errors import UserError
from official_vision.specs import ModelSpec

SPEC_CLASSES = [
    specs.ModelSpec,
    specs.DataSpec,
    specs.OptimizerSpec,
    specs.TrainSpec,
    specs.PrepareSpec,
    specs.EvaluationSpec,
]


@pytest.mark.parametrize("spec_class", SPEC_CLASSES)
def test_every_field_is_described(spec_class):
    # Python 3.13 takes a docstring's indentation away.
    attributes = inspect.getdoc(spec_class).split("Attributes:")[1]
    for field in dataclasses.fields(spec_class):
        assert f"\n  {field.name}: " in attributes


@pytest.mark.parametrize("spec_class", SPEC_CLASSES)
def test_dict_gives_the_same_spec(spec_class):
    spec = spec_class()
    assert spec_class.from_dict(spec.to_dict()) == spec


def test_lists_become_tuples_and_ints_become_floats():
    spec = specs.OptimizerSpec(boundaries=[10, 20], learning_rate=1)
    assert spec.boundaries == (10, 20)
    assert type(spec.learning_rate) is float


def test_numbers_of_numpy_become_python_s():
    spec = specs.OptimizerSpec(boundaries=np.array([10, 20]), learning_rate=np.float64(0.5))
    assert (spec.boundaries, spec.learning_rate) == ((10, 20), 0.5)
    assert type(spec.learning_rate) is float
    data = specs.DataSpec(frames=np.int64(8), flip=np.bool_(True))
    assert json.loads(json.dumps(data.to_dict()))["frames"] == 8
    assert data.flip is True
    with pytest.raises(UserError, match=r"DataSpec\.frames must be int\. Received: 2\.5"):
        specs.DataSpec(frames=np.float32(2.5))
    stem, block = Stem("rgb", np.int64(4)), Block(np.int32(1), (np.int64(0),), np.int64(8))
    assert from_json(to_json(Architecture("a", (stem, block)))).nodes == (
        Stem("rgb", 4),
        Block(1, (0,), 8),
    )


@pytest.mark.parametrize(
    ("spec_class", "settings", "message"),
    [
        (specs.ModelSpec, {"depth": 2.5}, "ModelSpec.depth must be int | None. Received: 2.5"),
        (specs.ModelSpec, {"gate": "pear"}, "one of none, static, self, peer. Received: 'pear'"),
        (specs.DataSpec, {"batch_size": True}, "DataSpec.batch_size must be int. Received: True"),
        (specs.DataSpec, {"batch_size": 0}, "must be at least 1. Received: 0"),
        (specs.DataSpec, {"flip": 1}, "DataSpec.flip must be bool"),
        (specs.OptimizerSpec, {"learning_rate": float("nan")}, "must be finite"),
        (specs.OptimizerSpec, {"learning_rate": 0.0}, "must be greater than 0"),
        (specs.OptimizerSpec, {"boundaries": [1, "a"]}, "OptimizerSpec.boundaries must be"),
        (specs.OptimizerSpec, {"boundaries": [0]}, "must be at least 1"),
        (specs.ModelSpec, {"dropout_rate": 1.5}, "must be at most 0.99"),
        (specs.TrainSpec, {"seed": 2**32}, "must be at most 4.29497e+09"),
        (specs.DataSpec, {"seed": 2**32}, "must be at most 4.29497e+09"),
        (specs.PrepareSpec, {"fps": 1001.0}, "must be at most 1000"),
    ],
)
def test_a_mistake_is_one_line_with_rule_and_value(spec_class, settings, message):
    with pytest.raises(UserError) as caught:
        spec_class(**settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(UserError, match="Did you mean 'depth'"):
        specs.ModelSpec.from_dict({"dept": 26})


@given(
    st.sampled_from(SPEC_CLASSES),
    st.data(),
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())
    ),
)
def test_any_value_makes_a_spec_or_the_error(spec_class, data, value):
    name = data.draw(st.sampled_from([field.name for field in dataclasses.fields(spec_class)]))
    try:
        spec = spec_class(**{name: value})
    except UserError:
        return
    expected = tuple(value) if isinstance(value, list) else value
    assert getattr(spec, name) == expected


def test_scales_of_rgb_are_one_number_or_three():
    assert ModelSpec(rgb_mean=[0, 1, 0.5]).rgb_mean == (0.0, 1.0, 0.5)
    assert ModelSpec.from_dict(ModelSpec(rgb_mean=(0, 0, 0)).to_dict()).rgb_mean == (0.0, 0.0, 0.0)
    with pytest.raises(UserError, match=r"^ModelSpec.rgb_deviation is one number, or three"):
        ModelSpec(rgb_deviation=(0.2, 0.3))
    with pytest.raises(UserError, match=r"^ModelSpec.rgb_deviation must be greater than 0"):
        ModelSpec(rgb_deviation=0.0)
