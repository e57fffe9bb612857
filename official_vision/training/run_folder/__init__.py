"""The folder of a run: its settings, class names, data and result."""
