"""Scores in a file, from which figures can be computed again without the model: an .npz of plain arrays.

    ids          unicode [videos]
    classes      unicode [classes]
    labels       uint8   [videos, classes], 0 or 1
    scores       float64 [videos, classes], probabilities, pooled as `about` records
    clip_logits  float32 [clips, classes]
    clip_video   int32   [clips], the clip's video as a row of `ids`
    training_counts int64 [classes], training videos of each class, or [0] where they are unknown
    about        unicode, JSON: format, version, activation, pooling, provenance

numpy.load reads it as it is, with pickles forbidden.
"""

from __future__ import annotations

import json
import os
import zipfile
from typing import Any

import numpy as np

from official_vision import files, formats
from official_vision.errors import UserError
from official_vision.metrics.scores import ClipScores
from official_vision.specs import EvaluationSpec


def write_dump(path: str | os.PathLike, scores: ClipScores, spec: EvaluationSpec) -> None:
    """Writes clips' logits and videos' scores, whole or not at all.

    Args:
      path: of the file, which ends with .npz.
      scores: of the clips.
      spec: how `scores` of the file are pooled.
    """
    about = {
        **formats.SCORES.header,
        "activation": scores.activation,
        "pooling": {name: getattr(spec, name) for name in ("pooling", "top_k", "pooled_values")},
        "provenance": dict(scores.provenance),
    }
    check_dump_path(path)
    with files.written_aside(path) as partial, open(partial, "wb") as file:
        np.savez(
            file,
            ids=np.array(scores.ids, np.str_),
            classes=np.array(scores.classes, np.str_),
            labels=scores.labels.astype(np.uint8),
            scores=scores.pooled(spec).scores,
            clip_logits=scores.logits,
            clip_video=scores.owner,
            training_counts=np.array(scores.training_counts, np.int64),
            about=np.array(json.dumps(about)),
        )


def check_dump_path(path: str | os.PathLike) -> None:
    """Refuses a name with another ending than .npz.

    Raises:
      UserError: it does not end with .npz.
    """
    if not str(path).endswith(".npz"):
        raise UserError(
            f"A file of scores ends with .npz. Received: --dump={path}. Name it {path}.npz."
        )


def read_dump(path: str | os.PathLike) -> ClipScores:
    """Reads what `write_dump` wrote.

    Raises:
      UserError: the file is missing, is none of ours, or its arrays don't fit each other.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = formats.SCORES.check(json.loads(str(arrays["about"])), path)
        scores = _from_arrays(arrays, about)
    except OSError as error:
        raise UserError(
            f"The file of scores cannot be read. Received: {path} ({error.strerror or 'not an archive'})."
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(
            f"The file must hold scores written by official-vision evaluate --dump. Received: {path} ({error}). "
            "Evaluate again."
        ) from error
    return scores


def _from_arrays(arrays: dict[str, np.ndarray], about: dict[str, Any]) -> ClipScores:
    scores = ClipScores(
        tuple(arrays["ids"].tolist()),
        tuple(arrays["classes"].tolist()),
        arrays["labels"] > 0,
        arrays["clip_logits"],
        arrays["clip_video"],
        about["activation"],
        about["provenance"],
        tuple(arrays["training_counts"].tolist()),
    )
    videos, classes = len(scores.ids), len(scores.classes)
    if len(scores.training_counts) not in (0, classes):
        raise ValueError(f"training_counts of {len(scores.training_counts)} of {classes} classes")
    expected = {"labels": (videos, classes), "logits": (len(scores.owner), classes)}
    for name, shape in expected.items():
        if getattr(scores, name).shape != shape:
            raise ValueError(f"{name} of shape {getattr(scores, name).shape}, not {shape}")
    if np.unique(scores.owner).tolist() != list(range(videos)):
        raise ValueError("clips that don't belong to its videos, or videos without a clip")
    return scores
