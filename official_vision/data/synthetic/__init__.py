"""Data sets that are generated: the demo's and the one with a planted truth."""
