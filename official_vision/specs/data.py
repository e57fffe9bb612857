"""Settings of a prepared split and of the clips that are cut from it."""

from __future__ import annotations

import dataclasses

from official_vision.specs.spec import Spec, setting


@dataclasses.dataclass(frozen=True)
class DataSpec(Spec):
    """One prepared split and how clips are cut from it; gin scopes train/ and validation/ set both.

    Attributes:
      path: folder of one split, as written by official-vision prepare (with index.json).
      batch_size: clips per step over all devices together.
      frames: frames per clip.
      frame_stride: step between a clip's frames, in stored frames.
      size: height and width of a clip in pixels.
      min_crop_area: training crops cover at least this share of the frame (1 only moves the crop).
      flip: mirror half of the training clips.
      brightness: strongest change of a training clip's brightness as a share, 0 for none.
      contrast: strongest change of contrast, about the clip's mean grey, as a share.
      saturation: strongest change of saturation, as a share.
      hue: strongest shift of a training clip's hue in turns of the colour circle, 0 for none.
      rand_augment_layers: operations of RandAugment on a training clip's rgb, 0 for none.
      rand_augment_magnitude: magnitude of these operations, up to 10.
      mixup_alpha: parameter of the Beta distribution of shares by which training clips are
        blended, 0 for none; with cutmix_alpha set as well, each batch takes one of both.
      cutmix_alpha: parameter of the Beta distribution for boxes of one clip that are put into another.
      rgb_dropout: share of training clips whose rgb is blanked (never all streams of a clip).
      flow_dropout: share of training clips whose flow is blanked.
      objects_dropout: share of training clips whose objects are blanked.
      short_video: what fills a clip that outlasts its video: loop it or repeat (hold) its last frame.
      label_rule: which timed labels a clip carries: whole_video (all of the video's), any_overlap, or
        half_overlap (the label covers at least half of the clip, or lies in it by half). None is any_overlap
        in training where labels have times, else whole_video: evaluation judges whole videos.
      class_sampling: how often training draws the videos of a class: natural (each video once an epoch),
        square_root (in proportion to the square root of the class's videos) or balanced (all classes alike). An
        epoch has as many draws as there are videos.
      views: clips of each video at evaluation, evenly spread over its length.
      crops: square crops of each clip at evaluation, spread along the longer side; 1 is the centre.
      damaged: effect of a damaged segment or lost shard: fail, or skip (clips become masked rows; named in the log).
      seed: seed of order, span, crop and every other random choice.
    """

    path: str = ""
    batch_size: int = setting(16, low=1)
    frames: int = setting(32, low=1)
    frame_stride: int = setting(1, low=1)
    size: int = setting(224, low=16)
    min_crop_area: float = setting(0.35, above=0, high=1)
    flip: bool = True
    brightness: float = setting(0.0, low=0, high=1)
    contrast: float = setting(0.0, low=0, high=1)
    saturation: float = setting(0.0, low=0, high=1)
    hue: float = setting(0.0, low=0, high=0.5)
    rand_augment_layers: int = setting(0, low=0)
    rand_augment_magnitude: float = setting(9.0, low=0, high=10)
    mixup_alpha: float = setting(0.0, low=0)
    cutmix_alpha: float = setting(0.0, low=0)
    rgb_dropout: float = setting(0.0, low=0, high=1)
    flow_dropout: float = setting(0.0, low=0, high=1)
    objects_dropout: float = setting(0.0, low=0, high=1)
    short_video: str = setting("loop", choices=("loop", "hold"))
    label_rule: str | None = setting(None, choices=("whole_video", "any_overlap", "half_overlap"))
    class_sampling: str = setting("natural", choices=("natural", "square_root", "balanced"))
    views: int = setting(1, low=1)
    crops: int = setting(1, low=1, high=3)
    damaged: str = setting("fail", choices=("fail", "skip"))
    seed: int = setting(0, low=0, high=2**32 - 1)
