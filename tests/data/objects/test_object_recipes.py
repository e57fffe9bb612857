"""The settings of gin_configs/objects, each with a small network of the inputs and outputs of its export."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from official_vision import config, packaged
from official_vision.data.objects import object_classes, object_source
from official_vision.data.objects.checked_network import network_sha256
from official_vision.data.video import Frame
from tests.data.objects import onnx_files
from tests.data.objects.test_network_output import enlarged

SHORT_SIDE, SIZE = 36, (36, 48)
RECIPES = [path.stem for path in packaged.gin_files() if path.parent.name == "objects"]
IMAGENET = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def settings_of(recipe, path, folder, *bindings):
    """The recipe as a user includes it from a file elsewhere."""
    mine = folder / "mine.gin"
    mine.write_text(
        f"include 'gin_configs/objects/{recipe}.gin'\n"
        f"PrepareSpec.objects = 'onnx:{path}'\nPrepareSpec.short_side = {SHORT_SIDE}\n"
    )
    return config.load([str(mine)], bindings).prepare


def ids_of(spec, frames):
    """The ids of a video, as preparation finds them: after the network was tried."""
    assert len(network_sha256(spec)) == 64
    source = object_source(spec, "any.mp4")
    return np.stack(source.many([Frame(frame, 0.0, 0) for frame in frames]))


def grey(*levels):
    return [np.full((*SIZE, 3), level, np.uint8) for level in levels]


def test_every_recipe_is_tried_here_and_names_a_file_to_put_there():
    assert RECIPES == ["deeplab_ade20k", "detr_coco", "segformer_ade20k_512", "yolo_coco"]
    for recipe in RECIPES:
        # Below an experiment it takes the place of that experiment's objects.
        settings = config.load(["charades.gin", f"objects/{recipe}.gin"])
        assert settings.prepare.objects == f"onnx:networks/{recipe}.onnx"
        names = object_classes(settings.prepare)
        assert settings.model.num_object_classes == len(names) == len(set(names))
        assert names[0] == "none"


@pytest.mark.parametrize("size", [("height", "width"), (512, 512)])
def test_segformer_ade20k_512(tmp_path, size):
    """Scores of every fourth pixel, of 150 classes without a background; compared with NumPy's."""
    random = np.random.default_rng(0)
    weights, biases = random.normal(size=(3, 150)), random.normal(size=150) / 4
    path = onnx_files.pixelwise(tmp_path / "net.onnx", weights, biases, size=size, pool=4)
    spec = settings_of("segformer_ade20k_512", path, tmp_path)
    few = random.integers(0, 256, (3, 4, 3), np.uint8)

    def compare(height, width, of_frame):
        frame = cv2.resize(few, (width, height))  # no sharp edges, at which rounding decides
        pixels = cv2.resize(frame, (512, 512)).astype(np.float64) / 255
        pooled = ((pixels - IMAGENET[0]) / IMAGENET[1]).reshape(128, 4, 128, 4, 3)
        exact = of_frame(pooled.mean(axis=(1, 3)) @ weights + biases)
        (ids,) = ids_of(spec, [frame])
        best = np.sort(exact, axis=-1)
        sure = best[..., -1] - best[..., -2] > 1e-3
        assert sure.mean() > 0.98
        np.testing.assert_array_equal(ids[sure], exact.argmax(-1)[sure] + 1)

    nearest = np.arange(36)[:, np.newaxis] * 128 // 36, np.arange(48) * 128 // 48
    compare(36, 48, lambda scores: scores[nearest])
    compare(150, 200, lambda scores: enlarged(scores, 150, 200))
    assert len(object_classes(spec)) == 151
    assert object_classes(spec)[1 + 20] == "car"


def test_deeplab_ade20k(tmp_path):
    path = onnx_files.ids_of_red(tmp_path / "net.onnx", divisor=2)
    spec = settings_of("deeplab_ade20k", path, tmp_path)
    frame = np.zeros((*SIZE, 3), np.uint8)
    frame[:, 24:, 0] = 250  # to the right
    frame[:, :24, 0] = 9
    ids = ids_of(spec, [frame, frame[:, ::-1]])
    expected = np.where(np.arange(48) < 24, 4, 125)
    # At the edge between the halves, enlarged frames are blurred.
    clear = np.abs(np.arange(48) - 23.5) > 1
    np.testing.assert_array_equal(ids[0][:, clear], np.tile(expected, (36, 1))[:, clear])
    np.testing.assert_array_equal(ids[1][:, clear], np.tile(expected[::-1], (36, 1))[:, clear])
    assert object_classes(spec)[125] == "microwave"


@pytest.mark.parametrize("names", [("pixel_values",), ("pixel_values", "pixel_mask")])
def test_detr_coco(tmp_path, names):
    """A person on the left with the surer dog on it; in dark frames the dog is unsure. 91 is none."""
    logits = np.zeros((1, 100, 92))
    logits[..., 91] = 20.0
    slopes = np.zeros_like(logits)
    logits[0, 3, [1, 91]] = 19.0, 0.0
    logits[0, 8, [18, 91]] = 10.0, 0.0
    slopes[0, 8, 18] = 10.0  # 10 + 10 * mean is 0 at a mean of -1
    boxes = np.zeros((1, 100, 4))
    boxes[0, 3] = 0.25, 0.5, 0.5, 1.0
    boxes[0, 8] = 0.5, 0.5, 0.25, 0.5
    outputs = {"logits": (logits, slopes), "pred_boxes": (boxes, np.zeros_like(boxes))}
    path = onnx_files.by_brightness(tmp_path / "net.onnx", outputs, names=names)
    spec = settings_of("detr_coco", path, tmp_path)
    means = [((level / 255 - IMAGENET[0]) / IMAGENET[1]).mean() for level in (0, 70, 255)]
    assert [10 + 10 * mean < 0 for mean in means] == [True, False, False]
    person, both = np.zeros(SIZE), np.zeros(SIZE)
    person[:, :24] = both[:, :24] = 1
    unsure = both.copy()
    both[9:27, 18:30] = 18
    ids = ids_of(spec, grey(0, 70, 255))
    # Of equal or greater scores the later one is on top: softmax of 19 and of 10 + 10 * 2.2 against zeros.
    np.testing.assert_array_equal(ids[0], unsure)
    np.testing.assert_array_equal(ids[2], both)
    scores = [1 / (1 + 91 * np.exp(-score)) for score in (19, 10 + 10 * means[2])]
    assert scores[0] < scores[1]
    assert [object_classes(spec)[number] for number in (1, 18)] == ["person", "dog"]


def test_yolo_coco(tmp_path):
    """Of two boxes around the same car the surer one counts; a frame of 3 : 4 begins at row 80 of 640."""
    columns = np.zeros((1, 84, 8400))
    columns[0, :4, 10] = 160, 200, 320, 240  # the frame's left half, its upper half: rows 80 to 320
    columns[0, :4, 11] = 160, 210, 320, 260
    columns[0, :4, 12] = 480, 440, 320, 240
    columns[0, [4 + 2, 4 + 2, 4 + 0], [10, 11, 12]] = 0.8, 0.7, 0.2
    slopes = np.zeros_like(columns)
    slopes[0, 4, 12] = 0.5  # surer in brighter frames, whose borders of 114 / 255 count, too
    outputs = {"output0": (columns, slopes)}
    path = onnx_files.by_brightness(tmp_path / "net.onnx", outputs, shape=(1, 3, 640, 640))
    spec = settings_of("yolo_coco", path, tmp_path)
    dark, bright = np.zeros(SIZE), np.zeros(SIZE)
    dark[:18, :24] = bright[:18, :24] = 3
    bright[18:, 24:] = 1
    brightness = [0.75 * level / 255 + 0.25 * 114 / 255 for level in (0, 255)]
    assert [0.2 + 0.5 * mean >= 0.25 for mean in brightness] == [True, True]
    low = settings_of("yolo_coco", path, tmp_path, "PrepareSpec.object_threshold = 0.3")
    np.testing.assert_array_equal(ids_of(low, grey(0, 255)), [dark, bright])
    assert [object_classes(spec)[number] for number in (1, 3)] == ["person", "car"]


def test_yolo_coco_with_nms(tmp_path):
    rows = np.zeros((1, 300, 6))
    rows[0, 0] = 0, 80, 320, 320, 0.8, 2
    outputs = {"output0": (rows, np.zeros_like(rows))}
    path = onnx_files.by_brightness(tmp_path / "net.onnx", outputs, shape=(1, 3, 640, 640))
    spec = settings_of("yolo_coco", path, tmp_path, "PrepareSpec.object_result = 'boxes'")
    expected = np.zeros(SIZE)
    expected[:18, :24] = 3
    np.testing.assert_array_equal(ids_of(spec, grey(0)), [expected])
