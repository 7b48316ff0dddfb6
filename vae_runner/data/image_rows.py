"""Images that stay in their files, decoded each time they are read."""

import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae_runner.data.decoder import Decoder, WrongSizeError
from vae_runner.data.files import Files
from vae_runner.errors import DataLost

Names = NDArray[np.bytes_]


class ImageRows:
    """The images of these names, (channels, height, width) uint8 each."""

    dtype, apart = torch.uint8, True

    def __init__(self, files: Files, names: Names, decoder: Decoder) -> None:
        self.files, self.names, self.decoder = files, names, decoder

    def __len__(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.decoder.channels, *self.decoder.size)

    def subset(self, indices: Tensor) -> "ImageRows":
        return ImageRows(self.files, self.names[indices.numpy()], self.decoder)

    def read(self, indices: Tensor) -> Tensor:
        pixels = np.empty((len(indices), *self.shape), np.uint8)
        for row, name in enumerate(self.names[indices.numpy()].tolist()):
            pixels[row] = self._image(os.fsdecode(name)).numpy()
        return torch.from_numpy(pixels)

    def _image(self, name: str) -> Tensor:
        try:
            content = self.files.read(name)
        except Exception as error:  # a .zip has kinds of its own
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise DataLost(f"{self.files.place(name)}: {reason}") from error
        try:
            return self.decoder(content)
        except WrongSizeError as error:
            fix = "set data.size=[height,width] to bring all to one size"
            raise DataLost(f"{self.files.place(name)} {error} and other images are not: {fix}") from error
        except Exception as error:  # each image library raises its own kinds for a broken file
            reason = (str(error) or type(error).__name__).splitlines()[0]
            if "cannot identify image file" in reason:
                reason = "no known image format"
            fix = "mend it, or leave it out of a new run with data.skip_unreadable=true"
            raise DataLost(f"{self.files.place(name)}: not a readable image ({reason}); {fix}") from error
