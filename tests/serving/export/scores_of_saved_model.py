"""Prints scores of an exported model as JSON, with TensorFlow alone: FOLDER CLIPS."""

from __future__ import annotations

import json
import sys


class Forbidden:
    """Refuses imports of the packages that training needs."""

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002 - as importlib calls it
        if name.split(".")[0] in ("tf_keras", "official_vision", "official"):
            raise ImportError(f"{name} must not be needed")


def main():
    sys.meta_path.insert(0, Forbidden())
    import numpy as np
    import tensorflow as tf

    folder, clips = sys.argv[1:]
    loaded = tf.saved_model.load(folder)
    serve = loaded.signatures["streams"]
    results = []
    clips = np.load(clips, allow_pickle=False)
    for size in sorted({name.split("-")[1] for name in clips}):
        clip = {
            stream: tf.constant(clips[f"{stream}-{size}"]) for stream in ("rgb", "flow", "objects")
        }
        outputs = serve(**clip)
        results.append(
            {
                "size": size,
                "scores": outputs["scores"].numpy().tolist(),
                "frame_scores": outputs["frame_scores"].numpy().tolist(),
                "labels": [label.decode() for label in outputs["labels"].numpy()[0]],
            }
        )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
