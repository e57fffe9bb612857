"""The command `official-vision convert`, from a checkout."""

from official_vision.commands.main import start
from official_vision.commands.runs import convert

if __name__ == "__main__":
    start(convert)
