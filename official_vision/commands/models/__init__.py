"""Commands that make or use exported models."""
