"""TensorBoard summaries besides Model Garden's: the search during training, and pictures.

Losses, learning rates and figures come from Model Garden's controller; each class's average precision
from it too, in the folder validation/average_precision. Here, beside the training losses:

    strength/block_7/from_3       sigmoid(w) of a connection
    peers/block_7/from_3          entropy of its peers' softmax(h) as a share of an even choice's
    peers/mean                    the mean of these
    search/peers, search/graph    pictures: the distributions, and the current graph
    samples/...                   pictures: clips as they are fed to the network
    settings                      text: every setting, as a gin file
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from official_vision.architecture.connections.connectivity import Learned, connection_strengths
from official_vision.training.observation.connection_log import mean_entropy_share
from official_vision.training.observation.training_pictures import draw_graph, draw_peers


def write_connections(writer: tf.summary.SummaryWriter, learned: Learned) -> None:
    """Writes strengths and entropies as scalars, at the step of `learned.source`."""
    step = learned.source["step"]
    with writer.as_default(step):
        for source, node, strength in connection_strengths(learned.architecture, learned.strengths):
            if node in learned.strengths:
                tf.summary.scalar(f"strength/block_{node}/from_{source}", strength)
        for (source, node), choice in learned.choices().items():
            if choice.entropy_share is not None:
                tf.summary.scalar(f"peers/block_{node}/from_{source}", choice.entropy_share)
        mean = mean_entropy_share(learned)
        if mean is not None:
            tf.summary.scalar("peers/mean", mean)


def write_search_pictures(writer: tf.summary.SummaryWriter, learned: Learned) -> None:
    """Writes the graph with its strengths, and the peers' distributions where there are any."""
    step = learned.source["step"]
    write_picture(writer, "search/graph", draw_graph(learned), step)
    if learned.peer_distributions:
        write_picture(writer, "search/peers", draw_peers(learned), step)


def write_settings(writer: tf.summary.SummaryWriter, gin: str, step: int) -> None:
    """Writes the settings of a run from `step` on, a gin file's text, as preformatted text."""
    with writer.as_default(step):
        tf.summary.text("settings", "\n".join(f"    {line}" for line in gin.splitlines()))


def write_picture(
    writer: tf.summary.SummaryWriter, tag: str, pixels: np.ndarray, step: int
) -> None:
    """Writes one picture, uint8 rgb [height, width, 3]."""
    with writer.as_default(step):
        tf.summary.image(tag, pixels[np.newaxis])
