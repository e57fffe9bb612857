"""Settings of the preparation of videos as shards."""

from __future__ import annotations

import dataclasses

from official_vision.specs.spec import Spec, setting


@dataclasses.dataclass(frozen=True)
class PrepareSpec(Spec):
    """Preparation of videos as shards.

    Attributes:
      annotations: the annotation file (or folder) that names videos and labels.
      annotation_format: auto (a folder, or the ending .csv or .jsonl, decides), csv, json_lines, folders
        (split/class/video or class/video), intervals (a csv file with a row for each time that a class is there), or
        the official files of charades, kinetics, moments_in_time, multithumos, toyota_smarthome or ucf101.
      protocol: the data set's division into splits: cs, cv1 or cv2 of toyota_smarthome; 1, 2 or
        3 of ucf101; empty for the others.
      videos: folder that the annotation's paths are relative to; empty takes the annotations'
        folder (of folders: the folder itself).
      validation_share: share of the videos for the split validation where the annotations name no splits;
        of each class, by whole groups.
      test_share: share of the videos for the split test; 0 for none.
      split_seed: seed of the choice of these videos.
      output: folder to write; each split gets a folder there.
      short_side: shorter side of the stored frames in pixels.
      fps: frames per second to re-time to; None keeps the video's.
      flow: dis (OpenCV), tvl1 (Piergiovanni & Ryoo 2019) or none.
      flow_bound: largest stored displacement in pixels per frame; larger ones are clipped.
      objects: opencv (OpenCV's face and body detectors, a stand-in that detects few), motion (where and how fast
        something moves otherwise than the camera, by the frame's flow), onnx:PATH,
        saved_model:PATH or tflite:PATH (a network that segments or detects), png:FOLDER (ready-made ids: a folder per
        video, a PNG per frame) or none.
      object_interval: frames between two runs of the detector or network, whose ids are repeated in
        between; None takes 6 for opencv, 1 for a network. Ids of motion are each frame's.
      object_input_size: height and width of the network's input in pixels; None takes the ONNX file's, and where any
        is taken feeds frames as stored.
      object_fit: stretch (frames fill the input) or letterbox (they keep their shape, within a grey border).
      object_padding: value of that border, before any scaling.
      object_layout: order of an ONNX network's axes: nchw, nhwc, or auto, by where its input has 3 channels.
      object_batch: frames that go through an ONNX network together, where it takes any number.
      object_scale: a network of floats is fed (value / scale - mean) / deviation of values in 0..255;
        one that takes uint8 is fed the values.
      object_mean: mean of the network's input, one number for all channels or one per channel.
      object_deviation: divisor of the network's input, one number for all channels or one per channel.
      object_channel_order: rgb or bgr.
      object_output: name of the network's output; empty for its only one. Of detr the names of scores and boxes, of
        boxes those of boxes, scores and classes, with commas; empty for 'logits,pred_boxes', 'boxes,scores,labels'.
      object_result: what the network gives: scores (per class), ids, mask (scores of one class in 0..1), boxes (left,
        top, right, bottom, score and class), yolo ([batch, 4 + classes, boxes], without NMS), detr (scores before a
        softmax whose last class is none, and boxes) or detr_sigmoid (before a sigmoid); auto is scores or ids, by
        the output's shape.
      object_enlarged: where an output is smaller than the stored frame: scores (they are enlarged bilinearly, then
        the greatest is taken) or ids (by the nearest pixel); None takes scores for onnx, ids for the others.
      object_threshold: least score of a mask's pixel or of a box.
      object_box_format: corners of boxes: xyxy or yxyx, in pixels of the network's input or in shares of its sides.
      object_overlap: share of their union from which a surer box of the same class displaces another; 1 keeps
        all.
      object_background_id: id that is stored where a mask or boxes show nothing.
      object_id_offset: added to the network's ids (of a mask: to 1); results below 0 or above 255 are unlabelled.
      object_unlabelled_id: the network's id for unlabelled pixels, stored as 255; None for none.
      object_classes: file that names the stored ids, one per line from id 0, or a usual list: ade20k (150 names after
        "none"), coco (80 after "none") or coco_91 (at COCO's own numbers); empty leaves them without names.
      jpeg_quality: quality of stored JPEG frames, 1 to 100.
      videos_per_shard: videos that share one shard file.
      runner: runner of Apache Beam: DirectRunner (this machine), FlinkRunner, SparkRunner, ...
        All its machines must see `videos` and `output` under the same paths.
      runner_options: command-line options of that runner, e.g. ('--flink_master=host:8081',).
      workers: processes that decode on this machine (DirectRunner).
      video_timeout_sec: a video whose next frame takes longer is left out and named.
      broken_packet_share: share of a video's packets that may be undecodable: they are passed over,
        counted and reported; 0 leaves out a video with any.
      left_out_is_fatal: exit with status 1 when any video was left out (otherwise with status 3).
    """

    annotations: str = ""
    annotation_format: str = setting(
        "auto",
        choices=(
            "auto",
            "csv",
            "json_lines",
            "folders",
            "intervals",
            "charades",
            "kinetics",
            "moments_in_time",
            "multithumos",
            "toyota_smarthome",
            "ucf101",
        ),
    )
    protocol: str = ""
    videos: str = ""
    validation_share: float = setting(0.2, above=0, high=0.9)
    test_share: float = setting(0.0, low=0, high=0.9)
    split_seed: int = setting(0, low=0, high=2**32 - 1)
    output: str = ""
    short_side: int = setting(256, low=16)
    fps: float | None = setting(None, above=0, high=1000)
    flow: str = setting("dis", choices=("dis", "tvl1", "none"))
    flow_bound: float = setting(20.0, above=0)
    objects: str = setting(
        "opencv",
        choices=(
            "opencv",
            "motion",
            "onnx:PATH",
            "saved_model:PATH",
            "tflite:PATH",
            "png:FOLDER",
            "none",
        ),
    )
    object_interval: int | None = setting(None, low=1)
    object_input_size: int | None = setting(None, low=1)
    object_fit: str = setting("stretch", choices=("stretch", "letterbox"))
    object_padding: int = setting(114, low=0, high=255)
    object_layout: str = setting("auto", choices=("auto", "nchw", "nhwc"))
    object_batch: int = setting(4, low=1)
    object_scale: float = setting(255.0, above=0)
    object_mean: tuple[float, ...] = (0.0,)
    object_deviation: tuple[float, ...] = setting((1.0,), above=0)
    object_channel_order: str = setting("rgb", choices=("rgb", "bgr"))
    object_output: str = ""
    object_result: str = setting(
        "auto", choices=("auto", "scores", "ids", "mask", "boxes", "yolo", "detr", "detr_sigmoid")
    )
    object_enlarged: str | None = setting(None, choices=("scores", "ids"))
    object_threshold: float = setting(0.5, low=0, high=1)
    object_box_format: str = setting(
        "xyxy_pixels", choices=("xyxy_pixels", "xyxy_shares", "yxyx_pixels", "yxyx_shares")
    )
    object_overlap: float = setting(0.7, low=0, high=1)
    object_background_id: int = setting(0, low=0, high=255)
    object_id_offset: int = 0
    object_unlabelled_id: int | None = None
    object_classes: str = ""
    jpeg_quality: int = setting(90, low=1, high=100)
    videos_per_shard: int = setting(64, low=1)
    runner: str = "DirectRunner"
    runner_options: tuple[str, ...] = ()
    workers: int = setting(2, low=1)
    video_timeout_sec: float = setting(600.0, above=0)
    broken_packet_share: float = setting(0.0, low=0, high=1)
    left_out_is_fatal: bool = False
