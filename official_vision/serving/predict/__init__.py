"""Predictions on whole videos from an exported model."""
