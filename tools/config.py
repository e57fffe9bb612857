"""The command `official-vision config`, from a checkout."""

from official_vision.commands import config
from official_vision.commands.main import start

if __name__ == "__main__":
    start(config)
