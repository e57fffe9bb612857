"""Files of rows whose number is known at their end: .npy and HDF5, with rows of time or of channels."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

DATASET, TIMES = "features", "times_sec"  # of an HDF5 file
_CHUNK_ROWS = 64
Add = Callable[[np.ndarray], None]
Facts = Mapping[str, Any]


class NpyRows:
    """A .npy file, float32, to which rows are added."""

    def __init__(self, path: Path, layout: str):
        """Args:
        path: of the file.
        layout: TC or CT.
        """
        self._file = open(path, "wb")  # noqa: SIM115 - `close` closes it
        self._layout = layout
        self._shape: tuple[int, int] | None = None

    def add(self, rows: np.ndarray) -> None:
        """Adds float32 [rows, channels]."""
        if self._shape is None:
            self._shape = (0, rows.shape[1])
            self._write_header()
        self._file.write(np.ascontiguousarray(rows, np.float32).tobytes())
        self._shape = (self._shape[0] + len(rows), rows.shape[1])

    def close(self, facts: Facts, times_sec: np.ndarray) -> None:
        """Completes the file; what it can't hold is left to the JSON file."""
        del facts, times_sec
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def abandon(self) -> None:
        """Closes the file as it is."""
        self._file.close()

    def _write_header(self) -> None:
        # numpy leaves room in a header for an axis to grow: the last one where columns follow each other. So [C, T]
        # has the bytes of [T, C], and either is written from front to back.
        reverse = self._layout == "CT"
        header = {
            "descr": "<f4",
            "fortran_order": reverse,
            "shape": self._shape[::-1] if reverse else self._shape,
        }
        np.lib.format.write_array_header_1_0(self._file, header)


class Hdf5Rows:
    """An HDF5 file with the rows, the times at which they begin, and facts about them as attributes."""

    def __init__(self, path: Path, layout: str):
        """Args:
        path: of the file.
        layout: TC or CT.
        """
        self._file = h5py.File(path, "w")
        self._layout = layout

    def add(self, rows: np.ndarray) -> None:
        """Adds float32 [rows, channels]."""
        channels, time = rows.shape[1], 0 if self._layout == "TC" else 1
        if DATASET not in self._file:
            sizes = [(0, None, _CHUNK_ROWS), (channels, channels, channels)]
            shape, most, chunks = zip(*(sizes if time == 0 else sizes[::-1]), strict=True)
            self._file.create_dataset(DATASET, shape, np.float32, maxshape=most, chunks=chunks)
        data = self._file[DATASET]
        first = data.shape[time]
        data.resize(first + len(rows), axis=time)
        if time == 0:
            data[first:] = rows
        else:
            data[:, first:] = rows.T

    def close(self, facts: Facts, times_sec: np.ndarray) -> None:
        """Completes the file."""
        self._file[TIMES] = times_sec
        self._file[DATASET].attrs.update(facts)
        self._file.close()

    def abandon(self) -> None:
        """Closes the file as it is."""
        self._file.close()


@contextlib.contextmanager
def opened(path: Path, file: str, layout: str) -> Iterator[NpyRows | Hdf5Rows]:
    """Yields a file to add rows to and to close; one that was not closed has no use.

    Args:
      path: of the file.
      file: npy or h5.
      layout: TC or CT.
    """
    rows = NpyRows(path, layout) if file == "npy" else Hdf5Rows(path, layout)
    try:
        yield rows
    finally:
        rows.abandon()
