"""The command `official-vision prepare`, from a checkout."""

from official_vision.commands import prepare
from official_vision.commands.main import start

if __name__ == "__main__":
    start(prepare)
