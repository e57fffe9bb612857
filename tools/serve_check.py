"""The command `official-vision serve-check`, from a checkout."""

from official_vision.commands.main import start
from official_vision.commands.models import serve_check

if __name__ == "__main__":
    start(serve_check)
