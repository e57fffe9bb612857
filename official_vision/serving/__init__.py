"""Exported models, and predictions on whole videos."""
