"""The command `official-vision train`, from a checkout."""

from official_vision.commands.main import start
from official_vision.commands.runs import train

if __name__ == "__main__":
    start(train)
