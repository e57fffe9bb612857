"""A search as one page for a browser: the network over training, curves, costs, the derived network."""

from official_vision.search.report.page import write_report

__all__ = ["write_report"]
