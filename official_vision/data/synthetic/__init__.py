"""Data sets that are made here: the demo's and the one with a planted truth."""
