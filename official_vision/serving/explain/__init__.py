"""Explanations of one clip: where the network looked, the streams it used, the gates that opened."""
