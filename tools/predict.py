"""The command `official-vision predict`, from a checkout."""

from official_vision.commands.main import start
from official_vision.commands.models import predict

if __name__ == "__main__":
    start(predict)
