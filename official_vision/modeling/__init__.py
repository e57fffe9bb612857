"""Keras layers of the network and the builder that composes them."""
