"""The command `official-vision demo`, from a checkout."""

from official_vision.commands import demo
from official_vision.commands.main import start

if __name__ == "__main__":
    start(demo)
