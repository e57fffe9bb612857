"""The base of all layers: its configuration is its constructor's signature."""

from __future__ import annotations

import tf_keras

from official_vision.modeling.ops.layer import Layer, register


@register
class Doubling(Layer):
    def __init__(self, times: int, label: str = "none", **kwargs):
        super().__init__(**kwargs)
        self.times = times
        self.label = label


def test_configuration_holds_every_argument() -> None:
    config = Doubling(3, label="doubled", name="mine", dtype="float64").get_config()
    assert (config["times"], config["label"], config["name"]) == (3, "doubled", "mine")
    assert config["dtype"] == "float64"
    again = Doubling.from_config(config)
    assert again.get_config() == config


def test_registered_layers_are_known_by_the_package() -> None:
    assert tf_keras.saving.get_registered_object("official_vision>Doubling") is Doubling
    assert tf_keras.saving.get_registered_name(Doubling) == "official_vision>Doubling"
