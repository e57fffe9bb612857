"""Readers of annotations, one per data set's format, each of which returns a Manifest."""

from __future__ import annotations

from official_vision.data.annotations.formats.charades import read_charades
from official_vision.data.annotations.formats.folders import read_folders
from official_vision.data.annotations.formats.generic_csv import read_csv
from official_vision.data.annotations.formats.intervals import read_intervals
from official_vision.data.annotations.formats.json_lines import read_json_lines
from official_vision.data.annotations.formats.kinetics import read_kinetics
from official_vision.data.annotations.formats.moments_in_time import read_moments_in_time
from official_vision.data.annotations.formats.multithumos import read_multithumos
from official_vision.data.annotations.formats.toyota_smarthome import (
    PROTOCOLS,
    read_toyota_smarthome,
)
from official_vision.data.annotations.formats.ucf101 import SPLITS, read_ucf101
from official_vision.data.annotations.reader import Reader

READERS: dict[str, Reader] = {
    "csv": Reader(read_csv, locates_videos=True),
    "json_lines": Reader(read_json_lines),
    "intervals": Reader(read_intervals),
    "folders": Reader(read_folders),
    "charades": Reader(read_charades),
    "kinetics": Reader(read_kinetics, locates_videos=True),
    "moments_in_time": Reader(read_moments_in_time, locates_videos=True),
    "multithumos": Reader(read_multithumos),
    "toyota_smarthome": Reader(read_toyota_smarthome, tuple(PROTOCOLS)),
    "ucf101": Reader(read_ucf101, SPLITS),
}
