"""The tf.data pipeline: it reads batches of clips from shards."""
