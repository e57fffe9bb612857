"""The command `official-vision export`, from a checkout."""

from official_vision.commands.main import start
from official_vision.commands.models import export

if __name__ == "__main__":
    start(export)
