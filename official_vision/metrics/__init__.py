"""From scores to figures: exact metrics, pooling of clips, kept scores and their fusion (numpy only)."""
