"""The command `official-vision recompute-norms`, from a checkout."""

from official_vision.commands.main import start
from official_vision.commands.runs import recompute_norms

if __name__ == "__main__":
    start(recompute_norms)
