"""The command `official-vision serve-input`, from a checkout."""

from official_vision.commands import serve_input
from official_vision.commands.main import start

if __name__ == "__main__":
    start(serve_input)
