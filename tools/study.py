"""The command `official-vision study`, from a checkout."""

from official_vision.commands.main import start
from official_vision.commands.runs import study

if __name__ == "__main__":
    start(study)
