"""The command `official-vision benchmark`, from a checkout."""

from official_vision.commands import benchmark
from official_vision.commands.main import start

if __name__ == "__main__":
    start(benchmark)
