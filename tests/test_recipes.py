"""Every experiment in gin_configs loads, fits its data set's files, and builds its network."""

import dataclasses
import re
from pathlib import Path

import pytest

from official_vision import config
from official_vision.data.annotations.formats import READERS
from official_vision.data.objects.detectors import OPENCV_CLASS_NAMES
from official_vision.modeling.builder import build_model, resolve_architecture
from official_vision.training.devices.memory import need_of
from tests.data.annotations.formats import official_files

REPOSITORY = Path(__file__).resolve().parents[1]
PUBLISHED = ("charades", "kinetics", "moments_in_time", "toyota_smarthome", "ucf101")
RECIPES = sorted(REPOSITORY.glob("gin_configs/*.gin"))
# Those of published data sets; the others name their purpose.
OFFICIAL = [
    path for path in RECIPES if config.load([str(path)]).prepare.annotation_format in PUBLISHED
]
# One recipe of each network: building takes seconds.
NETWORKS = {config.load([str(path)]).model: path for path in OFFICIAL}
HEADER = ("Prepare:", "Train:", "Test:", "Needs:", "Memory:", "Expect:", "Run here:")
MEMORY = (
    r"# Memory:   on (\d+) GPUs of (\d+) GB (\d+) GiB of each, (\d+) GiB with TrainSpec\.precision =\n"
    r"#           'mixed_bfloat16': estimates\."
)


def name_of(path):
    return path.stem


def official_classes(prepare, num_classes, folder):
    """Classes of the recipe's reader on files of the official format, of `num_classes` where it varies."""
    write = {
        "charades": lambda: official_files.write_charades(folder, {"A": ("", "3.0")}, {}),
        "kinetics": lambda: official_files.write_kinetics(folder, num_classes),
        "moments_in_time": lambda: official_files.write_moments_in_time(folder, [(0, "a")], []),
        "toyota_smarthome": lambda: (folder / "Walk_p03_r00_v02_c01.mp4").touch(),
        "ucf101": lambda: official_files.write_ucf101(folder, [(1, 8, 1)], []),
    }
    write[prepare.annotation_format]()
    return READERS[prepare.annotation_format](folder, prepare.protocol).classes


@pytest.mark.parametrize("path", OFFICIAL, ids=name_of)
def test_the_recipe_fits_its_data_set(path, tmp_path):
    settings = config.load([str(path)])
    model, train, validation = settings.model, settings.train_data, settings.validation_data
    assert model.num_classes == len(official_classes(settings.prepare, model.num_classes, tmp_path))
    assert model.num_object_classes == len(OPENCV_CLASS_NAMES)
    assert model.activation == ("sigmoid" if "charades" in path.stem else "softmax")
    # What is trained and evaluated on is what the same file prepares.
    output = settings.prepare.output
    assert train.path == f"{output}/train"
    assert validation.path in (f"{output}/test", f"{output}/validation")
    assert (train.frames, train.size) == (validation.frames, validation.size)
    assert settings.optimizer.warmup_steps < settings.train.steps / 5
    assert all(step < settings.train.steps for step in settings.optimizer.boundaries)


def test_recipes_do_not_share_folders():
    folders = [config.load([str(path)]).train.model_dir for path in OFFICIAL]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize("path", OFFICIAL, ids=name_of)
def test_the_header_has_what_a_reader_needs(path):
    text = path.read_text()
    comments = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    assert [word for word in HEADER if word not in comments] == []
    # The commands are about this recipe: its file, its folder, and the data file that it includes.
    assert f"tools/train.py --gin_file=gin_configs/{path.name}" in comments
    settings = config.load([str(path)])
    assert f"--model_dir={settings.train.model_dir} " in comments
    prepared = re.search(r"tools/prepare_data\.py --gin_file=(\S+)", comments)[1]
    assert config.load([str(REPOSITORY / prepared)]).prepare == settings.prepare


def gibibytes(settings, gpus, precision):
    """What a GPU needs by the estimate that a run prints."""
    train = dataclasses.replace(settings.train, precision=precision)
    settings = dataclasses.replace(settings, train=train)
    architecture = resolve_architecture(settings.model)
    return need_of(settings, architecture, gpus, on_cpu=False).total / 2**30


@pytest.mark.parametrize("path", OFFICIAL, ids=name_of)
def test_the_header_names_hardware_and_its_memory(path):
    """On GPUs whose memory is a tenth more at least: convolutions' work space is not in the estimate."""
    settings = config.load([str(path)])
    gpus, card, whole, half = map(int, re.search(MEMORY, path.read_text()).groups())
    assert whole == round(gibibytes(settings, gpus, "float32"))
    assert half == round(gibibytes(settings, gpus, "mixed_bfloat16"))
    assert 1.1 * whole * 2**30 < card * 10**9
    assert settings.train_data.batch_size % gpus == 0


@pytest.mark.slow
@pytest.mark.parametrize("spec", NETWORKS, ids=[path.stem for path in NETWORKS.values()])
def test_the_network_builds(spec):
    model = build_model(dataclasses.replace(spec, depth=26, width_multiplier=0.0625))
    head = model.get_layer("head")
    assert head.weights[-1].shape[-1] == spec.num_classes
