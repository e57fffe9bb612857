"""The command `official-vision inspect`, from a checkout."""

from official_vision.commands import inspect
from official_vision.commands.main import start

if __name__ == "__main__":
    start(inspect)
