"""Videos and exported files that several tests of serving use."""

import cv2
import numpy as np
import pytest

from official_vision.data.storage.index import Index
from official_vision.serving.export.options import ExportOptions
from official_vision.serving.export.version_folder import export
from official_vision.serving.predict.predictor import Predictor
from official_vision.specs import PrepareSpec
from tests.serving import exports


@pytest.fixture(scope="session")
def known_scores(tmp_path_factory):
    """An exported file whose scores are known; tests set the clips that it is fed with."""
    return exports.save_known_scores(tmp_path_factory.mktemp("known_scores"))


@pytest.fixture(scope="session")
def brightening(tmp_path_factory):
    """23 frames of 32 x 32 at 10 per second, each uniform and brighter than the one before."""
    frames = [np.full((32, 32, 3), 5 + 10 * t, np.uint8) for t in range(23)]
    path = tmp_path_factory.mktemp("brightening") / "brightening.mp4"
    return exports.write_video(path, frames, fps=10)


@pytest.fixture(scope="session")
def drifting(tmp_path_factory):
    """20 frames of 64 x 64: a texture that moves 2 pixels to the right per frame."""
    noise = np.random.default_rng(0).normal(size=(64, 160))
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
    wide = np.repeat(smooth.astype(np.uint8)[..., np.newaxis], 3, axis=2)
    frames = [wide[:, 80 - 2 * t : 144 - 2 * t] for t in range(20)]
    path = tmp_path_factory.mktemp("drifting") / "drifting.mp4"
    return exports.write_video(path, frames)


@pytest.fixture(scope="session")
def split(brightening, tmp_path_factory):
    """A prepared split of that one video."""
    folder = tmp_path_factory.mktemp("data") / "validation"
    exports.write_split(folder, [brightening], PrepareSpec(short_side=32))
    return folder


@pytest.fixture(scope="session")
def run(split, tmp_path_factory):
    """A run's folder and its network."""
    folder = tmp_path_factory.mktemp("run")
    index = Index.read(split)
    return folder, exports.write_run(folder, split, index.fingerprint)


@pytest.fixture(scope="session")
def exported(run, tmp_path_factory):
    """The run's first version, and the folder of versions."""
    output = tmp_path_factory.mktemp("export")
    options = ExportOptions(feature_nodes=(exports.FEATURE_NODE,))
    return export(run[0], output, options=options), output


@pytest.fixture
def predictor(known_scores):
    """Makes predictors with these settings of clips."""
    return lambda options=None, **clip: Predictor(exports.with_clip(known_scores, **clip), options)
