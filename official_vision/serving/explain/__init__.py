"""Explanations of one clip: where the network looked, which streams it used, which gates opened."""
