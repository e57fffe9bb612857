"""Writes a torchvision network with random weights, and what it computes: run by a Python that has PyTorch.

    python3 torchvision_networks.py NAME SITE_PACKAGES FOLDER

SITE_PACKAGES is where the package safetensors lies. FOLDER gets weights.safetensors and io.npz: pictures x
(uint8 [batch, height, width, 3]), features (the trunk's, averaged over the picture) and logits.
"""

import importlib
import sys
from pathlib import Path

import numpy as np

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main(name: str, site_packages: str, folder: str) -> None:
    sys.path.append(site_packages)  # behind the system's: its NumPy is another one
    # Of the system's Python, and no requirement of the tests': a plain import would make BUILD name them.
    modules = ("torch", "torchvision.models", "safetensors.torch")
    torch, models, writer = map(importlib.import_module, modules)
    torch.manual_seed(0)
    network = getattr(models, name)(num_classes=5).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            torch.nn.init.normal_(module.bias, 0, 0.1)
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    x = (torch.tensor(pictures) / 255 - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
    read = []
    network.avgpool.register_forward_hook(lambda *arguments: read.append(arguments[-1]))
    network.layer3.register_forward_hook(lambda *arguments: read.append(arguments[-1]))
    with torch.no_grad():
        logits = network(x.permute(0, 3, 1, 2))
    level_3, features = read
    writer.save_file(network.state_dict(), str(Path(folder) / "weights.safetensors"))
    np.savez(
        Path(folder) / "io.npz",
        x=pictures,
        level_3=level_3.permute(0, 2, 3, 1).numpy(),
        features=features[..., 0, 0].numpy(),
        logits=logits.numpy(),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
