"""Strengths and peers of connections, and the networks derived from them."""
