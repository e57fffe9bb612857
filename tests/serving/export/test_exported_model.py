"""SavedModels and TFLite files behind one callable."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision import formats
from official_vision.errors import UserError
from official_vision.serving.export.exported_model import load_exported_model
from official_vision.serving.predict.options import PredictOptions
from official_vision.serving.predict.predictor import Predictor
from tests.serving import exports


def write_lite(folder, **frames):
    """KnownScores as a version's .tflite file: by signature, clips of so many frames of 16 x 16."""
    (folder / "1" / "assets").mkdir(parents=True)
    exports.with_clip(folder)
    module = (
        tf.Module()
    )  # whose attributes are not named serve, which the converter takes for its only signature
    module.known = exports.KnownScores([])

    @tf.function
    def serve(rgb, flow, objects):
        outputs = module.known.serve(rgb, flow, objects)
        return {name: outputs[name] for name in ("scores", "frame_scores")}

    def traced(number):
        shape = (1, number, 16, 16)
        return serve.get_concrete_function(
            rgb=tf.TensorSpec((*shape, 3), tf.uint8, "rgb"),
            flow=tf.TensorSpec((*shape, 2), tf.float32, "flow"),
            objects=tf.TensorSpec(shape, tf.uint8, "objects"),
        )

    signatures = {name: traced(number) for name, number in frames.items()}
    tf.saved_model.save(module, str(folder / "saved"), signatures=signatures)
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(folder / "saved"), signature_keys=[*frames]
    )
    path = folder / "1" / "model_float32.tflite"
    path.write_bytes(converter.convert())
    return path


@pytest.fixture(scope="module")
def lite(tmp_path_factory):
    return write_lite(tmp_path_factory.mktemp("lite"), serving_default=4)


def clips(batch, frames=4):
    generator = np.random.default_rng(0)
    shape = (batch, frames, 16, 16)
    return {
        "rgb": generator.integers(0, 255, (*shape, 3)).astype(np.uint8),
        "flow": generator.normal(size=(*shape, 2)).astype(np.float32),
        "objects": generator.integers(0, 2, shape).astype(np.uint8),
    }


def test_both_kinds_of_file_score_alike(lite, known_scores):
    on_device, other = (
        load_exported_model(lite),
        load_exported_model(exports.with_clip(known_scores)),
    )
    assert (on_device.frames, other.frames) == ((4,), ())
    actual, expected = on_device(**clips(3)), other(**clips(3))
    for name in ("scores", "frame_scores"):
        np.testing.assert_allclose(actual[name], expected[name], atol=1e-6)
    means = clips(3)["rgb"][:, -1].mean(axis=(1, 2, 3)) / 255
    np.testing.assert_allclose(actual["scores"][:, 0], means, atol=1e-6)


def test_a_tflite_file_takes_only_its_size(lite):
    on_device = load_exported_model(lite)
    with pytest.raises(UserError, match=r"must be \[batch, 4, 16, 16.*\[1, 5, 16"):
        on_device(**clips(1, frames=5))
    assert on_device(**clips(1))["scores"].shape == (1, 4)
    with pytest.raises(UserError, match=r"have 4 frames\. Received: --window=5"):
        Predictor(lite, PredictOptions(window=5))


def test_a_file_of_several_lengths_takes_each_of_them(tmp_path, known_scores, brightening):
    lite = write_lite(tmp_path, frames_9=9, frames_2=2, frames_3=3)
    on_device, other = (
        load_exported_model(lite),
        load_exported_model(exports.with_clip(known_scores)),
    )
    assert on_device.frames == (2, 3, 9)
    for frames in on_device.frames:
        fed = clips(2, frames)
        np.testing.assert_allclose(on_device(**fed)["scores"], other(**fed)["scores"], atol=1e-6)
    with pytest.raises(UserError, match=r"have 2, 3 or 9 frames .*Received: 5\."):
        on_device(**clips(1, frames=5))
    # The nearest to the 4 of evaluation.
    assert Predictor(lite).window_frames == 3
    saved = Predictor(exports.with_clip(known_scores), PredictOptions(window=9))
    chosen = Predictor(lite, PredictOptions(window=9))
    scores = [each.predict(brightening).scores for each in (saved, chosen)]
    np.testing.assert_allclose(*scores, atol=1e-5)
    with pytest.raises(UserError, match=r"have 2, 3 or 9 frames\. Received: --window=4"):
        Predictor(lite, PredictOptions(window=4))


def test_a_whole_video_by_a_tflite_file(lite, known_scores, brightening):
    results = [
        Predictor(path).predict(brightening) for path in (lite, exports.with_clip(known_scores))
    ]
    np.testing.assert_allclose(results[0].frame_scores, results[1].frame_scores, atol=1e-5)
    np.testing.assert_allclose(results[0].scores, results[1].scores, atol=1e-5)


def test_a_file_that_crashes_with_xnnpack_runs_without(lite):
    report = lite.parent / "parity.json"
    notes = [f"{lite.name} runs without XNNPACK only, slower"]
    formats.PARITY.write(report, {"notes": notes})
    try:
        assert load_exported_model(lite)(**clips(1))["scores"].shape == (1, 4)
    finally:
        report.unlink()


def test_files_that_are_none_are_refused(lite, tmp_path):
    with pytest.raises(UserError, match=r"Received: .*missing\.tflite, where there is none"):
        load_exported_model(lite.parent / "missing.tflite")
    alone = tmp_path / "alone.tflite"
    alone.write_bytes(lite.read_bytes())
    with pytest.raises(UserError, match="official-vision export"):
        load_exported_model(alone)
    garbage = lite.parent / "garbage.tflite"
    garbage.write_bytes(b"\xff" * 64)
    with pytest.raises(UserError, match="must be whole") as caught:
        load_exported_model(garbage)
    assert "\n" not in str(caught.value)
