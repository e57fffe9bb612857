"""The inference network: discrete connections, folded batch norms."""
