"""The inference network where it computes flow: with XLA only where that is set."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from official_vision.errors import UserError
from official_vision.modeling.inference.folding import for_tflite
from official_vision.modeling.inference.inference_network import inference_network
from official_vision.modeling.network import AssembleNet
from official_vision.serving.export.converters import tflite
from tests.modeling import small


class Clips:
    """Two clips of one size, in the manner of HeldOutClips."""

    def __len__(self) -> int:
        return 2

    def clip(self, number: int) -> dict[str, np.ndarray]:
        generator = np.random.default_rng(number)
        streams = {"rgb": generator.integers(0, 256, (1, 4, 24, 24, 3)).astype(np.uint8)}
        return streams | {"objects": generator.integers(0, 4, (1, 4, 24, 24)).astype(np.uint8)}


@pytest.fixture(scope="module")
def model() -> AssembleNet:
    return small.network(small.architecture(), flow_source="computed")


def compiled_functions(network: AssembleNet) -> list[str]:
    """Names of the functions in the network's graph that only XLA runs."""
    clip = {name: tf.constant(value) for name, value in Clips().clip(0).items()}
    traced = tf.function(lambda streams: network(streams, training=False)).get_concrete_function(
        clip
    )
    library = traced.graph.as_graph_def().library.function
    return [function.signature.name for function in library if function.attr["_XlaMustCompile"].b]


def test_xla_is_needed_only_where_it_is_set(model: AssembleNet) -> None:
    plain = inference_network(model, discrete=False)
    compiled = inference_network(model, discrete=False, compiled_flow=True)
    assert compiled_functions(plain) == []
    assert len(compiled_functions(compiled)) == 1
    clip = Clips().clip(0)
    logits = [network(clip, training=False)["logits"] for network in (plain, compiled)]
    np.testing.assert_allclose(*logits, atol=1e-4)
    assert compiled_functions(for_tflite(compiled)) == []
    assert len(compiled_functions(compiled)) == 1


@pytest.mark.slow
def test_tflite_computes_the_flow_as_well(model: AssembleNet) -> None:
    network = inference_network(model, discrete=False, compiled_flow=True)
    content = tflite.convert(network, "float32", Clips())
    run = Interpreter(model_content=content).get_signature_runner()
    clip = Clips().clip(1)
    logits = model(clip, training=False)["logits"].numpy()
    np.testing.assert_allclose(run(**clip)["scores"], 1 / (1 + np.exp(-logits)), atol=1e-4)
    # The converter's calibration would end this process.
    with pytest.raises(UserError, match="Full int8 has no place for the flow's loop"):
        tflite.convert(network, "int8", Clips())
