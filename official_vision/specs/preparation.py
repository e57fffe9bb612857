"""Settings of turning videos into shards."""

from __future__ import annotations

import dataclasses

from official_vision.specs.spec import Spec, setting


@dataclasses.dataclass(frozen=True)
class PrepareSpec(Spec):
    """How videos become shards.

    Attributes:
      annotations: the annotation file (or folder) that names videos and labels.
      annotation_format: reader in data/annotations/: csv, json_lines, folders (a folder a class), or
        the official files of charades, kinetics, moments_in_time, toyota_smarthome or ucf101.
      protocol: which of a data set's divisions into splits: cs, cv1 or cv2 of toyota_smarthome; 1, 2 or
        3 of ucf101; empty for the others.
      videos: folder that the annotation's paths are relative to.
      output: folder to write; each split gets a folder of its own there.
      short_side: shorter side of the stored frames in pixels.
      fps: frames a second to re-time to; None keeps the video's own.
      flow: dis (OpenCV), tvl1 (Piergiovanni & Ryoo 2019) or none.
      flow_bound: largest stored displacement in pixels a frame; larger ones are clipped.
      objects: opencv (its face and body detectors) or none.
      jpeg_quality: of stored frames, 1 to 100.
      videos_per_shard: videos that share one shard file.
      runner: local (processes on this machine) or a runner of Apache Beam: DirectRunner, FlinkRunner, ...
        All its machines must see `videos` and `output` under the same paths.
      runner_options: command-line options of that runner, e.g. ('--flink_master=host:8081',).
      workers: processes that decode (local runner).
      video_timeout_sec: a video that takes longer is left out and named.
      left_out_is_fatal: exit with status 1 when any video was left out (else 3 says that some were).
    """

    annotations: str = ""
    annotation_format: str = setting(
        "csv",
        choices=(
            "csv",
            "json_lines",
            "folders",
            "charades",
            "kinetics",
            "moments_in_time",
            "toyota_smarthome",
            "ucf101",
        ),
    )
    protocol: str = ""
    videos: str = ""
    output: str = ""
    short_side: int = setting(256, low=16)
    fps: float | None = setting(None, above=0)
    flow: str = setting("dis", choices=("dis", "tvl1", "none"))
    flow_bound: float = setting(20.0, above=0)
    objects: str = setting("opencv", choices=("opencv", "none"))
    jpeg_quality: int = setting(95, low=1, high=100)
    videos_per_shard: int = setting(64, low=1)
    runner: str = "local"
    runner_options: tuple[str, ...] = ()
    workers: int = setting(2, low=1)
    video_timeout_sec: float = setting(600.0, above=0)
    left_out_is_fatal: bool = False
