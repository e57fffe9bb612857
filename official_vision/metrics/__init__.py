"""Figures from scores: exact metrics, pooling of clips, score files and their fusion (numpy only)."""
