"""The command `official-vision explain`, from a checkout."""

from official_vision.commands.main import start
from official_vision.commands.models import explain

if __name__ == "__main__":
    start(explain)
