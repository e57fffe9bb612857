"""Writes what PyTorch computes with the weights of 3-D networks: run by a Python that has PyTorch.

    python3 torch_video_networks.py r2plus1d|slowfast SITE_PACKAGES FOLDER

SITE_PACKAGES is where the package safetensors lies. `r2plus1d` writes weights.safetensors, of torchvision's network
of bottlenecks with random norms; `slowfast` reads such a file with PySlowFast's names. Both write io.npz.
"""

import importlib
import sys
from pathlib import Path

import numpy as np


def main(name: str, site_packages: str, folder: str) -> None:
    sys.path.append(site_packages)  # behind the system's: its NumPy is another one
    # Of the system's Python, and no requirement of the tests': a plain import would make BUILD name them.
    modules = ("torch", "safetensors.torch", "torchvision.models.video.resnet")
    torch, tensors, resnet = map(importlib.import_module, modules)
    torch.manual_seed(0)
    with torch.no_grad():
        if name == "r2plus1d":
            results = write_r2plus1d(torch, tensors, resnet, Path(folder))
        else:
            results = write_slowfast(torch, tensors, Path(folder))
    arrays = {name: maps[0].permute(1, 2, 3, 0).numpy() for name, maps in results.items()}
    np.savez(Path(folder) / "io.npz", **arrays)


def write_r2plus1d(torch, tensors, resnet, folder):
    """The first and the last convolution of a module of the last level, with norms: [1, channels, time, ...]."""
    makers, modules = [resnet.Conv2Plus1D] * 4, [3, 4, 6, 3]
    stem = resnet.R2Plus1dStem
    network = resnet.VideoResNet(resnet.Bottleneck, makers, modules, stem, num_classes=5).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            torch.nn.init.normal_(module.bias, 0, 0.1)
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    tensors.save_file(network.state_dict(), str(folder / "weights.safetensors"))
    module = network.layer4[1]
    x, middle = torch.randn(1, 2048, 3, 2, 4), torch.randn(1, 512, 3, 2, 4)
    return {"x": x, "first": module.conv1(x), "middle": middle, "last": module.conv3(middle)}


def write_slowfast(torch, tensors, folder):
    """A module of the slow pathway's last level, without a projection: [1, channels, time, height, width]."""
    prefix, nn = "s5.pathway0_res1.branch2.", torch.nn
    layers = {
        "a": nn.Conv3d(2048, 512, (3, 1, 1), padding=(1, 0, 0), bias=False),
        "a_bn": nn.BatchNorm3d(512),
        "b": nn.Conv3d(512, 512, (1, 3, 3), padding=(0, 1, 1), bias=False),
        "b_bn": nn.BatchNorm3d(512),
        "c": nn.Conv3d(512, 2048, 1, bias=False),
        "c_bn": nn.BatchNorm3d(2048),
    }
    branch = nn.ModuleDict(layers).eval()
    weights = tensors.load_file(str(folder / "slowfast.safetensors"))
    state = {name[len(prefix) :]: w for name, w in weights.items() if name.startswith(prefix)}
    branch.load_state_dict(state)
    x = torch.rand(1, 2048, 3, 3, 4)
    y = branch["a_bn"](branch["a"](x)).relu()
    y = branch["b_bn"](branch["b"](y)).relu()
    return {"x": x, "y": (x + branch["c_bn"](branch["c"](y))).relu()}


if __name__ == "__main__":
    main(*sys.argv[1:])
