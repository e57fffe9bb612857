"""The benchmark of feeding counts what it reports, and its numbers fit each other."""

import dataclasses

import pytest

from official_vision import config
from official_vision.architecture.cost.network_cost import estimate
from official_vision.benchmark import input_speed
from official_vision.benchmark.input_speed import input_text, measure_input
from official_vision.benchmark.scenes import SPLIT, write_scenes
from official_vision.data.prepare.preparation import prepare_split
from official_vision.data.video import decode
from official_vision.errors import UserError
from official_vision.modeling.builder import resolve_architecture
from official_vision.training.cost_setting import setting_of


@pytest.fixture(scope="module")
def settings():
    bindings = [
        "DataSpec.frames = 2",
        "DataSpec.size = 32",
        "DataSpec.batch_size = 3",
        "PrepareSpec.short_side = 40",
        "PrepareSpec.objects = 'none'",
    ]
    return config.load([], bindings)


@pytest.fixture(scope="module")
def result(settings):
    """Of generated videos, of which there would be one fewer than a batch has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(input_speed, "_SCENES", 2)
        return measure_input(settings, rounds=2, batches=1)


@pytest.mark.slow
def test_speeds_and_ratios_fit(result):
    speeds = result["clips_per_core_second"]
    assert set(speeds) == {"garden_rgb", "rgb", "rgb_flow"}
    assert result["clips_per_round"] == result["videos"] == 3
    for figures in (*speeds.values(), *result["clips_per_second"].values()):
        assert 0 < figures["least"] <= figures["median"] <= figures["most"]
    for name, ratio in result["times_garden_rgb"].items():
        rate, other = speeds[name], speeds["garden_rgb"]
        assert rate["least"] / other["most"] <= ratio["median"] <= rate["most"] / other["least"]


@pytest.mark.slow
def test_frames_are_decoded_once(result):
    assert result["decoded_per_used_frame"] == {"rgb": 1.0, "flow": 1.0}


@pytest.mark.slow
def test_bytes(result):
    sizes = result["bytes_per_clip"]
    assert sizes["rgb"]["fed"] == 2 * 32 * 32 * 3
    assert sizes["flow"]["fed"] == 2 * 32 * 32 * 2 * 4
    assert all(2 * 100 < size["stored"] < 2 * 40 * 54 * 3 for size in sizes.values())


@pytest.mark.slow
def test_output_is_model_gardens(result):
    """Of the same frames; one cuts before it resizes, the other after."""
    assert result["grey_levels_from_garden"] < 4


@pytest.mark.slow
def test_the_table_has_the_figures(result):
    text = input_text(result)
    assert f"{result['clips_per_core_second']['rgb']['median']:.2f} (" in text
    assert "batches of 3, 2 rounds of 3 clips, generated data" in text


@pytest.mark.slow
def test_cores_follow_from_the_networks_arithmetic(settings, result):
    needed = result["training"]
    cost = estimate(
        resolve_architecture(settings.model), setting_of(settings.model, settings.train_data)
    )
    assert needed["gflop_per_clip"] == pytest.approx(3 * cost.total.flops / 1e9)
    assert needed["clips_per_second"] * needed["gflop_per_clip"] == pytest.approx(100e3)
    fed = needed["cores"] * result["clips_per_core_second"]["rgb_flow"]["median"]
    assert fed == pytest.approx(needed["clips_per_second"])
    assert f"{needed['cores']:.1f} cores of input" in input_text(result)


def test_too_few_videos_are_explained(settings, tmp_path):
    manifest = write_scenes(tmp_path / "videos", 2, 16, 40, 54)
    spec = dataclasses.replace(
        settings.prepare, videos=str(tmp_path / "videos"), output=str(tmp_path / "shards")
    )
    prepare_split(manifest, SPLIT, spec, lambda: None)
    data = dataclasses.replace(
        settings.train_data, path=str(tmp_path / "shards" / SPLIT), batch_size=64
    )
    with pytest.raises(UserError, match=r"Received: 2 videos, DataSpec\.batch_size = 64"):
        measure_input(dataclasses.replace(settings, train_data=data), rounds=1, batches=1)


def test_scenes_move(tmp_path):
    manifest = write_scenes(tmp_path, 2, 5, 40, 54)
    assert [row.labels[0].class_index for row in manifest.rows] == [0, 1]
    for row in manifest.rows:
        frames = [frame.rgb.astype(float) for frame in decode(tmp_path / row.path, None)]
        assert len(frames) == 5
        assert frames[0].shape == (40, 54, 3)
        assert frames[0].std() > 20  # a picture
        assert abs(frames[4] - frames[0]).mean() > 3  # that changes
