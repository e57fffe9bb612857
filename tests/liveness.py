"""Other processes, as tests look at them."""

from __future__ import annotations


def alive(pid):
    """Returns whether the process runs; one that has ended may still be listed until it is collected."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
