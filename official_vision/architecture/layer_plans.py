"""Sizes of a network's layers: a stem's, a residual module's and the head's."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class StemPlan:
    """A stem: a spatial convolution, a temporal one and a max pool, of which some may be missing.

    Attributes:
      channels: of the output.
      input_channels: of the frames that the stem reads; 0 for object ids, which become one channel per class.
      kernel_size: of the spatial convolution, whose stride is 2; 0 for none.
      temporal_kernel_size: frames that the temporal convolution sees; 0 for none.
      temporal_dilation: step between those frames.
      pool_size: window of the max pool; 0 for none.
      pool_stride: of the max pool.
    """

    channels: int
    input_channels: int
    kernel_size: int
    temporal_kernel_size: int = 0
    temporal_dilation: int = 1
    pool_size: int = 0
    pool_stride: int = 2

    @property
    def stride(self) -> int:
        """From the input frame to the output, in height and width."""
        return (2 if self.kernel_size else 1) * (self.pool_stride if self.pool_size else 1)


@dataclasses.dataclass(frozen=True)
class ConvolutionPlan:
    """A convolution without bias, and the layers that follow it.

    Attributes:
      inputs, outputs: channels.
      size: of the kernel, in height and width.
      frames: of the kernel, in time.
      stride: in height and width.
      has_norm: a batch norm follows.
      activates: a ReLU follows the batch norm.
    """

    inputs: int
    outputs: int
    size: int = 1
    frames: int = 1
    stride: int = 1
    has_norm: bool = True
    activates: bool = True


@dataclasses.dataclass(frozen=True)
class ModulePlan:
    """A residual module: convolutions beside a shortcut, their sum and a ReLU.

    Attributes:
      convolutions: from the input to the sum.
      projects: the shortcut is a 1x1 convolution with the module's stride and a batch norm, not the identity.
      temporal_dilation: of convolutions of several frames.
    """

    convolutions: tuple[ConvolutionPlan, ...]
    projects: bool
    temporal_dilation: int = 1

    @property
    def input_channels(self) -> int:
        """Width of the input."""
        return self.convolutions[0].inputs

    @property
    def output_channels(self) -> int:
        """Width of the output."""
        return self.convolutions[-1].outputs

    @property
    def stride(self) -> int:
        """From the input to the output, in height and width."""
        stride = 1
        for convolution in self.convolutions:
            stride *= convolution.stride
        return stride


@dataclasses.dataclass(frozen=True)
class HeadPlan:
    """The layers between the last block and the classifier; 0 for none.

    Attributes:
      final_channels: of a 1x1 convolution with batch norm and ReLU before the spatial average.
      hidden_channels: of a fully connected layer with ReLU after it.
    """

    final_channels: int = 0
    hidden_channels: int = 0
