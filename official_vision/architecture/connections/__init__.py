"""Connections and peers: how strong they are, and networks derived from them."""
