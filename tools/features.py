"""The command `official-vision features`, from a checkout."""

from official_vision.commands.main import start
from official_vision.commands.models import features

if __name__ == "__main__":
    start(features)
