"""Bazel's way into a test file: runs pytest on the files that the target names as arguments."""

from __future__ import annotations

import sys

import pytest
import pytest_timeout  # noqa: F401 - pyproject.toml sets an option of this plugin

if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv[1:]))
