"""Runs tools/evaluate.py, and prints which of TensorFlow's packages it has imported."""

from __future__ import annotations

import runpy
import sys


def main():
    sys.argv[0] = "tools/evaluate.py"
    try:
        runpy.run_path("tools/evaluate.py", run_name="__main__")
    finally:
        print(sorted({"tensorflow", "tf_keras", "official"} & set(sys.modules)))


if __name__ == "__main__":
    main()
