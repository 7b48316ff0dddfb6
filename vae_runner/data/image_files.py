"""Image files that still lie on disk, with the label of each."""

import logging
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from vae_runner.data.decoder import Decoder, WrongSizeError
from vae_runner.data.files import Files
from vae_runner.data.image_rows import ImageRows, Names
from vae_runner.data.splits import TensorSplit
from vae_runner.data.streamed import StreamedSplit
from vae_runner.errors import UserError
from vae_runner.reporting.formats import counted

logger = logging.getLogger("vae_runner")

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


# images that one thread decodes before it takes more
BLOCK = 64


class ImageFiles:
    """Images that still lie in files, with the label of each; `read` decodes them, several at once; `stream` does not.

    names: kept as bytes of one length, which for many are a fifth of what as many texts would be.

    c: the condition of each, in files too.
    explain: what a message about one of them ends with.
    """

    def __init__(
        self,
        files: Files,
        names: Sequence[str] | Names,
        decoder: Decoder,
        y: Tensor | None = None,
        *,
        c: "ImageFiles | None" = None,
        skip_unreadable: bool = False,
        explain: Callable[[str, Exception], str] = lambda name, error: f"{name}: not a readable image ({error})",
    ) -> None:
        self.files = files
        self.names = names if isinstance(names, np.ndarray) else np.array([*map(os.fsencode, names)], np.bytes_)
        self.decoder = decoder
        self.y = y
        self.c = c
        self.skip_unreadable = skip_unreadable
        self.explain = explain

    def __len__(self) -> int:
        return len(self.names)

    @property
    def size(self) -> int:
        """Bytes that the images, and the conditions, would take in memory."""
        return len(self) * self.decoder.channels * math.prod(self.decoder.size) + (self.c.size if self.c else 0)

    def subset(self, indices: Tensor) -> "ImageFiles":
        return ImageFiles(
            self.files,
            self.names[indices.numpy()],
            self.decoder,
            None if self.y is None else self.y[indices],
            c=None if self.c is None else self.c.subset(indices),
            skip_unreadable=self.skip_unreadable,
            explain=self.explain,
        )

    def read(self) -> TensorSplit:
        """Raises UserError at the first unreadable image, or warns and leaves it out with `skip_unreadable`."""
        if len(self) >= 20000:
            logger.info("reading %d images", len(self))
        shape = (len(self), self.decoder.channels, *self.decoder.size)
        try:
            x = torch.empty(shape, dtype=torch.uint8)
        except RuntimeError as error:
            gigabytes = math.prod(shape) / 2**30
            fix = "lower data.size or data.limit"
            raise UserError(f"{len(self)} images of {shape[1:]} need {gigabytes:.0f} GB of memory: {fix}") from error

        kept = self._decode(x.__setitem__)
        if len(kept) == len(self):
            return TensorSplit(x, self.y, c=None if self.c is None else self.c.read().x)
        return TensorSplit(
            x[kept],
            None if self.y is None else self.y[kept],
            c=None if self.c is None else self.c.subset(kept).read().x,
        )

    def stream(self, workers: int) -> StreamedSplit:
        """The same examples, read when they are taken; decoded once before to find unreadable ones, if to be skipped.

        Raises UserError as `read` does.
        """
        x = ImageRows(self.files, self.names, self.decoder)
        c = None if self.c is None else ImageRows(self.c.files, self.c.names, self.c.decoder)
        split = StreamedSplit(x, self.y, c=c, workers=workers)
        return split.subset(self._decode(lambda i, picture: None)) if self.skip_unreadable else split

    def _decode(self, store: Callable[[int, Tensor], None]) -> Tensor:
        """Hands each image to `store`. Gives the indices of those that are readable; others are named in a warning."""
        readable = torch.ones(len(self), dtype=torch.bool)

        def decode(start: int) -> None:
            for i in range(start, min(start + BLOCK, len(self))):
                name = os.fsdecode(self.names[i])
                try:
                    store(i, self.decoder(self.files.read(name)))
                except Exception as error:  # each image library raises its own kinds for a broken file
                    if not self.skip_unreadable or isinstance(error, WrongSizeError):
                        raise UserError(self.explain(name, error)) from error
                    readable[i] = False

        # the decoders of Pillow let other threads run
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            try:
                for _ in pool.map(decode, range(0, len(self), BLOCK)):
                    pass
            except UserError:
                pool.shutdown(cancel_futures=True)
                raise
        kept = readable.nonzero().flatten()
        if len(kept) < len(self):
            skipped = [os.fsdecode(name) for name in self.names[~readable.numpy()]]
            logger.warning("skipped %s: %s", counted(len(skipped), "unreadable image"), ", ".join(skipped))
        return kept
