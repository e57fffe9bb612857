"""The tf.data pipeline: shards to batches of clips."""
