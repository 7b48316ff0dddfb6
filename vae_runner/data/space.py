"""What an example is, and what a model is handed: the vocabulary between data and everything above it."""

from dataclasses import dataclass, field

from torch import Tensor


def without_classes(is_real: bool) -> str:
    """What a message says of data that has none; is_real: whether it has real-valued targets instead."""
    return "has real-valued targets and no class labels" if is_real else "has no class labels"


@dataclass(frozen=True)
class Space:
    """The space the examples live in.

    shape: of one example, without the batch: `(D,)` vectors, `(C, H, W)` images, `(T, D)` sequences, `(T,)` text.
    support: `binary` {0, 1}, `unit` [0, 1], `real`, or `categorical`, 0 to categories - 1, as in text.
    classes: how many, where the data has labels; class_names: of each. factors: how many columns labels have, where
        they are (N, F): classes of known factors in whole numbers or, with `real_factors`, real-valued targets in
        float32. categorical_factors: the columns whose values have no order, such as shapes, and angles, which wrap.
    ragged: whether examples differ in length (then `Batch.mask` is given, and T is the longest).
    context: the shape of the condition that the data itself brings along, if any.
    vocabulary: the tokens of a text, by their category.
    """

    shape: tuple[int, ...]
    support: str
    classes: int | None = None
    ragged: bool = False
    categories: int | None = None
    factors: int = 0
    categorical_factors: tuple[int, ...] = ()
    real_factors: bool = False
    context: tuple[int, ...] = ()
    vocabulary: tuple[str, ...] = ()
    class_names: tuple[str, ...] = field(default=(), compare=False)

    @property
    def sequence(self) -> bool:
        return len(self.shape) == 2 or self.support == "categorical"

    @property
    def image(self) -> bool:
        return len(self.shape) == 3

    @property
    def size(self) -> int:
        """Dimensions of one example."""
        size = 1
        for n in self.shape:
            size *= n
        return size


@dataclass
class Batch:
    """N examples on the device.

    x: the target (N, *shape). input: what the encoder sees, x unless it was corrupted.
    y: class (N,), -1 where hidden, or factors (N, F), int64 or float32.
    c: the condition, embedded by the model. mask: 1 where x counts.
    missing: true where x is not known, which is only a part of what a mask leaves out.
    """

    x: Tensor
    input: Tensor
    y: Tensor | None = None
    c: Tensor | None = None
    mask: Tensor | None = None
    missing: Tensor | None = None

    @property
    def known(self) -> Tensor | None:
        """1 where there is something to draw; the part of an image that its condition shows does not count, but is."""
        if self.x.dim() < 4:
            return self.mask
        return None if self.missing is None else (~self.missing).float()

    def __len__(self) -> int:
        return len(self.x)
