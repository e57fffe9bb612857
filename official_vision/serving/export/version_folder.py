"""Exports a run's folder as a versioned folder of files that run without our code."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision import files, formats
from official_vision.architecture.cost.network_cost import estimate, total
from official_vision.architecture.formats import to_json
from official_vision.lock import folder_locked
from official_vision.modeling.inference.inference_network import has_candidates, inference_network
from official_vision.modeling.network import AssembleNet
from official_vision.names import check_no_pattern
from official_vision.serving.explain.gate_openings import gates_of, node_names
from official_vision.serving.export import parity
from official_vision.serving.export.converters import mobile_gpu, onnx_file, stablehlo_file, tflite
from official_vision.serving.export.converters.clip_function import frames_of, signature_names
from official_vision.serving.export.description import (
    DEFAULT_SIGNATURE,
    LABELS_FILE,
    MODEL_FILE,
    STREAMS_SIGNATURE,
    feeding_to_dict,
    gates_to_list,
    stem_name,
)
from official_vision.serving.export.held_out_clips import (
    ClipsOfRun,
    HeldOutClips,
    clips_of_run,
    network_scores,
)
from official_vision.serving.export.isolated_process import (
    Scored,
    fastest_tflite_scores,
    onnx_scores,
    signature_scores,
    stablehlo_scores,
    tflite_scores,
)
from official_vision.serving.export.options import LIMITS, MEASURES, ExportOptions
from official_vision.serving.export.parity import Parity, RgbAlone
from official_vision.serving.export.serving_files import signatures_of, write_serving_files
from official_vision.serving.export.signatures import ServingModule
from official_vision.serving.export.warm_up_requests import write_warm_up
from official_vision.training.clip_scoring import Trained, load_trained
from official_vision.training.cost_setting import setting_of

PARITY_FILE = "parity.json"
SAVED_MODEL = "SavedModel"


@dataclasses.dataclass(frozen=True)
class Exported:
    """An exported version.

    Attributes:
      path: its folder.
      parities: of each file.
      notes: for the user.
      rgb_alone: what clients lose who send rgb alone; None where the network has no other stream, or no rgb.
    """

    path: Path
    parities: Mapping[str, Parity]
    notes: tuple[str, ...]
    rgb_alone: RgbAlone | None = None


def export(
    model_dir: str | os.PathLike,
    output: str | os.PathLike,
    checkpoint: str = "best",
    options: ExportOptions | None = None,
    data: str | os.PathLike | None = None,
) -> Exported:
    """Exports a run's checkpoint as the next version below `output`, and checks the files.

    Batch norms are folded into convolutions, and gates are made discrete where their peers are
    decided. Signatures are those of serving.module. A version's folder holds the SavedModel,
    model_<format>.tflite for each requested format, model.onnx and model.stablehlo if requested, and parity.json.

    Args:
      model_dir: the run's folder.
      output: folder of versions 1, 2, ...; TF Serving loads the greatest.
      checkpoint: best, latest or a path prefix.
      options: what to write; None for a SavedModel in float32.
      data: folder of a prepared split to take clips from; None takes those in the run's folder, or its validation
        data.

    Raises:
      UserError: no run, no checkpoint, no clips or of other classes, a file that does not agree with the
        network, or a folder that can't be written or that another process exports to.
    """
    options = options or ExportOptions()
    check_no_pattern(output, "--output")
    trained = load_trained(model_dir, checkpoint, data=data)
    source = clips_of_run(trained, 2 * options.clips, is_named=data is not None)
    with folder_locked(
        output, "--output", "exporting"
    ):  # a minute's work would end there otherwise
        return _exported(trained, source, Path(output), options)


def _exported(
    trained: Trained, source: ClipsOfRun, output: Path, options: ExportOptions
) -> Exported:
    sample = _sample(trained.model, source, options)
    network, discrete, notes = _network(trained.model, sample, options)
    options.check_nodes(network.node_layers)
    lengths, notes_on_lengths = _lengths(trained.model, source, sample, options)
    notes = [*source.notes, *notes, *notes_on_lengths]
    path = output / str(_next_version(output))
    with files.folder_written_aside(path) as partial:
        work = _Export(path, trained, source, sample, lengths, options, network, discrete, notes)
        parity_of_model, rgb_alone = work.saved_model(partial)
        parities = {SAVED_MODEL: parity_of_model}
        for format_name in options.tflite:
            parities |= work.tflite(partial, format_name)
        if options.onnx:
            parities["ONNX"] = work.onnx(partial)
        if options.stablehlo:
            parities["StableHLO"] = work.stablehlo(partial)
        figures = {name: figures_of_file.to_dict() for name, figures_of_file in parities.items()}
        report = {"files": figures, "mobile_gpu": work.gpu_reports, "notes": notes}
        if rgb_alone:
            report["rgb_alone"] = dataclasses.asdict(rgb_alone)
        formats.PARITY.write(partial / PARITY_FILE, report)
    return Exported(path, parities, tuple(notes), rgb_alone)


def describe(trained: Trained, source: ClipsOfRun, network: AssembleNet) -> dict[str, Any]:
    """Returns the description of the file: streams, preparation, clip, classes, provenance.

    Args:
      trained: the run.
      source: of the clips that the file is checked on; its index names the classes.
      network: that is exported: its gates are described.
    """
    index = source.index
    return {
        "architecture": json.loads(to_json(trained.model.architecture)),
        "model": trained.config.model.to_dict(),
        "streams": list(trained.model.streams),
        "labels": list(index.classes),
        "object_classes": list(index.object_classes),
        **feeding_to_dict(index.settings, trained.config.validation_data),
        "nodes": list(node_names(network.architecture)),
        "gates": gates_to_list(gates_of(network)),
        "stem_share": _stem_share(trained, network),
        "shared_stems": [stem_name(index) for index in network.framewise_stems()],
        "checkpoint": {"path": trained.checkpoint, "step": trained.step},
        "data_fingerprint": source.fingerprint,
    }


def _stem_share(trained: Trained, network: AssembleNet) -> float:
    """Returns the share of a clip's arithmetic in the stems that overlapping windows don't share."""
    setting = setting_of(trained.config.model, trained.config.validation_data)
    cost = estimate(network.architecture, setting)
    shared = {int(index) for index in network.framewise_stems()}
    unshared = total(p.count for p in cost.parts if p.role == "stem" and p.node not in shared)
    return round(unshared.arithmetic / cost.total.arithmetic, 4)


@dataclasses.dataclass(frozen=True)
class _Sample:
    """Clips of one number of frames that files are checked on, others for calibration, and the network's scores."""

    clips: HeldOutClips
    others: HeldOutClips
    expected: Mapping[str, np.ndarray]


def _sample(model: AssembleNet, source: ClipsOfRun, options: ExportOptions) -> _Sample:
    clips, others = source.read(model.streams, 2 * options.clips).halves()
    return _Sample(clips, others, network_scores(model, clips))


def _lengths(
    model: AssembleNet, source: ClipsOfRun, usual: _Sample, options: ExportOptions
) -> tuple[list[_Sample], list[str]]:
    """Returns clips of each number of frames that TFLite files take, and notes on them for the user."""
    lengths, notes = [], []
    for frames in options.tflite_frames or (source.spec.frames,):
        if frames == source.spec.frames:
            lengths.append(usual)
            continue
        others = source.with_frames(frames)
        lengths.append(_sample(model, others, options))
        notes += others.notes
    return lengths, notes


def _next_version(output: Path) -> int:
    existing = [int(path.name) for path in output.glob("*") if path.name.isdecimal()]
    return max(existing, default=0) + 1


def _network(
    model: AssembleNet, sample: _Sample, options: ExportOptions
) -> tuple[AssembleNet, bool, list[str]]:
    """Returns the network that is exported, in float32; whether it is discrete; notes on that for the user."""
    if options.peers != "auto" or not has_candidates(model):
        discrete = options.peers == "discrete" if has_candidates(model) else options.threshold > 0
        return _inference_network(model, options, discrete), discrete, []
    network = _inference_network(model, options, discrete=True)
    scores, expected = network_scores(network, sample.clips), sample.expected
    difference = max(float(np.abs(scores[name] - expected[name]).max()) for name in expected)
    if difference <= min(options.limit_of("float32"), LIMITS["float32"]):
        return network, True, ["each gate keeps its most probable peer alone: no score changes"]
    note = (
        "peers are not decided: each gate keeps all its candidates, since its most probable peer alone "
        f"would change scores by {difference:.1e} (train what official-vision inspect --derive writes)"
    )
    return _inference_network(model, options, discrete=False), False, [note]


def _inference_network(
    model: AssembleNet, options: ExportOptions, discrete: bool, precision: str = "float32"
) -> AssembleNet:
    return inference_network(
        model,
        discrete=discrete,
        precision=precision,
        threshold=options.threshold,
        compiled_flow=options.compiled_flow,
    )


@dataclasses.dataclass(frozen=True)
class _Export:
    """The common inputs of a version's files; `network` is in float32, `lengths` are of TFLite files."""

    target: Path
    trained: Trained
    source: ClipsOfRun
    sample: _Sample
    lengths: Sequence[_Sample]
    options: ExportOptions
    network: AssembleNet
    discrete: bool
    notes: list[str]
    gpu_reports: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    def saved_model(self, folder: Path) -> tuple[Parity, RgbAlone | None]:
        described, labels = folder / MODEL_FILE, folder / LABELS_FILE
        formats.EXPORTED_MODEL.write(described, self._description())
        files.write_text(labels, "".join(f"{name}\n" for name in self.source.index.classes))
        network, precision = self.network, self.options.precision
        if precision != "float32":
            network = _inference_network(self.trained.model, self.options, self.discrete, precision)
        clip = self.trained.config.validation_data
        module = ServingModule(
            network,
            self.source.index.classes,
            [str(described), str(labels)],
            clip,
            self.options.feature_nodes,
        )
        signatures = module.signatures()
        tf.saved_model.save(module, str(folder), signatures=signatures)
        write_serving_files(folder, self.target, clip, signatures_of(signatures))
        clips = self.sample.clips
        self._warm_up(folder, clips)
        described.unlink()  # copied into assets/ by now
        labels.unlink()
        size = files.size_bytes(folder)

        def scores_of(clips: HeldOutClips) -> Scored:
            return signature_scores(folder, clips, (STREAMS_SIGNATURE,))[STREAMS_SIGNATURE]

        gives_up = "rgb" in clips.streams and len(clips.streams) > 1
        names = (STREAMS_SIGNATURE, *((DEFAULT_SIGNATURE,) if gives_up else ()))
        scored = signature_scores(folder, clips, names)
        compared = self._checked(SAVED_MODEL, precision, scored[STREAMS_SIGNATURE], scores_of, size)
        if not gives_up:
            return compared, None
        rgb_scores, _ = scored[DEFAULT_SIGNATURE]
        return compared, parity.compare_rgb_alone(self.sample.expected, rgb_scores, clips.labels)

    def _description(self) -> dict[str, Any]:
        frames = [frames_of(each.clips) for each in self.lengths] if self.options.tflite else []
        return {
            **describe(self.trained, self.source, self.network),
            "tflite_frames": frames,
            "feature_nodes": list(self.options.feature_nodes),
        }

    def _warm_up(self, folder: Path, clips: HeldOutClips) -> None:
        if not write_warm_up(folder, clips.clip(0)):
            self.notes.append(
                "no warm-up requests were written: they need tensorflow-serving-api "
                "(pip install 'official-vision[serving]')"
            )

    def tflite(self, folder: Path, format_name: str) -> dict[str, Parity]:
        """Returns the figures of one file for each number of frames."""
        path = folder / f"model_{format_name}.tflite"
        content = tflite.convert(self.network, format_name, *(s.others for s in self.lengths))
        path.write_bytes(content)

        def scores_of(clips: HeldOutClips) -> Scored:
            return self._lite_scores(path, clips)

        by_frames = {frames_of(sample.clips): sample for sample in self.lengths}
        size, checked = path.stat().st_size, {}
        for frames, signature in signature_names([*by_frames]).items():
            sample, name = by_frames[frames], f"TFLite {format_name}"
            if len(by_frames) > 1:
                name += f", {frames} frames"
            self._report_on_gpu(name, path.name, mobile_gpu.report_of(content, signature))
            parts = functools.partial(self._with_kinds_in_float, content, sample)
            checked[name] = self._checked(
                name,
                format_name,
                scores_of(sample.clips),
                scores_of,
                size,
                parts if format_name == "int8" else None,
                sample,
            )
        return checked

    def _report_on_gpu(self, name: str, file: str, report: mobile_gpu.GpuReport) -> None:
        self.gpu_reports[name] = report.to_dict()
        note = f"{file}: {report.to_text()}"
        if report.in_between and note not in self.notes:
            self.notes.append(note)

    def onnx(self, folder: Path) -> Parity:
        path = folder / onnx_file.ONNX_FILE
        path.write_bytes(onnx_file.convert(self.network, self.sample.clips))

        def scores_of(clips: HeldOutClips) -> Scored:
            return onnx_scores(path, clips, self.options.threads)

        size = path.stat().st_size
        return self._checked("ONNX", "onnx", scores_of(self.sample.clips), scores_of, size)

    def stablehlo(self, folder: Path) -> Parity:
        path = folder / stablehlo_file.STABLEHLO_FILE
        size = stablehlo_file.write(path, self.network, self.sample.clips)
        scored = stablehlo_scores(path, self.sample.clips)
        scores_of = functools.partial(stablehlo_scores, path)
        return self._checked("StableHLO", "stablehlo", scored, scores_of, size)

    def _lite_scores(self, path: Path, clips: HeldOutClips) -> Scored:
        scores, seconds, reason = fastest_tflite_scores(path, clips, self.options.threads)
        note = f"{path.name} runs without XNNPACK only, slower: with it, {reason}"
        if reason and note not in self.notes:
            self.notes.append(note)
        return scores, seconds

    def _with_kinds_in_float(
        self, content: bytes, sample: _Sample
    ) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """Yields the scores of int8 files that compute one kind of operation in floats, by that kind."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "partly_quantised.tflite"
            calibration = [each.others for each in self.lengths]
            files_by_kind = tflite.with_kinds_in_float(self.network, content, *calibration)
            for kind, content in files_by_kind:
                path.write_bytes(content)
                yield kind, tflite_scores(path, sample.clips, xnnpack=False)[0]

    def _checked(
        self,
        name: str,
        format_name: str,
        scored: Scored,
        scores_of: parity.Scorer,
        size_bytes: int,
        parts: parity.Parts = None,
        sample: _Sample | None = None,
    ) -> Parity:
        (actual, seconds), sample = scored, sample or self.sample
        compared = parity.compare(
            sample.expected, actual, sample.clips, size_bytes=size_bytes, seconds_per_clip=seconds
        )
        limit, model = self.options.limit_of(format_name), self.trained.model
        expected_of = functools.partial(network_scores, model)
        measure = MEASURES.get(format_name, "difference")
        parity.check(compared, limit, name, expected_of, scores_of, sample.clips, parts, measure)
        return compared
