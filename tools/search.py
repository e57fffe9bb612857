"""The command `official-vision search`, from a checkout."""

from official_vision.commands.main import start
from official_vision.commands.runs import search

if __name__ == "__main__":
    start(search)
