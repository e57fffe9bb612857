"""The command `official-vision evaluate`, from a checkout."""

from official_vision.commands.main import start
from official_vision.commands.runs import evaluate

if __name__ == "__main__":
    start(evaluate)
