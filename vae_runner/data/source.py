"""What every source of data shares: how it is split, limited, checked and binarised, and what labels it keeps."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from vae_runner.data.data import Data
from vae_runner.data.space import Space, without_classes
from vae_runner.data.splits import SUPPORTS, Examples, Split, TensorSplit
from vae_runner.data.streamed import StreamedSplit
from vae_runner.errors import UserError
from vae_runner.reporting.formats import counted
from vae_runner.settings import Range

SHOWN = 10  # class names in a message, at most


@dataclass
class Stored:
    """What a source holds. A split of its own that it lacks is None; `classes` counts the labels over all splits.

    factor_names: of the columns of y, where it is (N, F). categorical_factors: those whose values have no order.
    """

    train: Examples
    test: Examples | None = None
    validation: Examples | None = None
    classes: int | None = None
    class_names: list[str] | None = None
    factor_names: list[str] | None = None
    categorical_factors: tuple[int, ...] = ()


class Source:
    """A source of examples; a subclass says where they are in `load`.

    validation, test: below 1 a fraction of the training examples, else their number; 0 none; None the source's own
        split (for test, where there is none: a tenth). What is taken is taken from train.
    limit: keeps this many of the training examples that remain.
    labels: keeps this many of their labels, as many of each class, and hides the others (-1); None keeps all.
    leave_out: classes, by name, whose examples training and validation are not shown; test keeps them, and examples
        whose class is hidden stay where they are.
    binarize: `threshold` at 1/2 or `stochastic`, drawn afresh for each batch.
    split_seed: of the permutation that decides who goes where; a smaller limit keeps a part of a larger one's examples.
    """

    def __init__(
        self,
        *,
        validation: Annotated[float, Range(0)] | None = 0.1,
        test: Annotated[float, Range(0)] | None = None,
        limit: Annotated[int, Range(2)] | None = None,
        labels: Annotated[int, Range(1)] | None = None,
        leave_out: list[int | str] | None = None,
        binarize: Literal["none", "threshold", "stochastic"] = "none",
        split_seed: Annotated[int, Range(0, 2**63 - 1)] = 0,
    ) -> None:
        self.validation = validation
        self.test = test
        self.limit = limit
        self.labels = labels
        self.leave_out = leave_out
        self.binarize = binarize
        self.split_seed = split_seed

    device = torch.device("cpu")  # where the examples will be moved to

    @property
    def origin(self) -> str:
        """What a message about the data begins with."""
        return "data"

    def load(self) -> Stored:
        """The source's examples, as it orders and splits them. Raises UserError when they cannot be had."""
        raise NotImplementedError

    def read(self, parts: Sequence[Examples]) -> list[Split]:
        """The examples of each split, ready to be taken."""
        return [part if isinstance(part, StreamedSplit) else part.read() for part in parts]

    def scale(self, train: Split, validation: Split, test: Split) -> tuple[Split, Split, Split]:
        """The splits after whatever may depend on what the training examples turned out to be."""
        return train, validation, test

    def open(self, missing: bool = False) -> Data:
        """The checked data; missing: NaN stands for a value that is not known.

        Raises UserError for too few examples, values that are not finite, or that cannot be binarised.
        """
        stored = self.load()
        self._refuse_nan(stored, missing)
        splits = self.read(self._divide(stored))
        if len(splits[0]) < 2:
            raise UserError(f"{self.origin}: {len(splits[0])} examples to train on, at least 2 are needed")
        train, validation, test = self.scale(*splits)
        if self.labels is not None:
            train = self._hide_labels(train, stored, self.labels)
        support = max((split.support() for split in (train, validation, test) if len(split)), key=SUPPORTS.index)
        if self.binarize != "none":
            if missing:
                raise UserError(
                    f"data.binarize={self.binarize} with corruption=missing: what is missing would become black: "
                    f"set data.binarize=none, or type corruption=mask_random if nothing is missing"
                )
            if support == "real":
                raise UserError(
                    f"data.binarize={self.binarize}: the values of {self.origin} are not within [0, 1]; "
                    f"scale them first (arrays: data.scale=unit) or set data.binarize=none"
                )
            support = "binary"
        (_, y), c = train.take(torch.arange(1)), train.context(torch.arange(1))
        return Data(
            Space(
                train.shape,
                support,
                stored.classes,
                ragged=train.mask(torch.arange(1)) is not None,
                factors=0 if y is None or y.ndim == 1 else y.shape[1],
                categorical_factors=stored.categorical_factors,
                real_factors=y is not None and y.is_floating_point(),
                context=() if c is None else tuple(c.shape[1:]),
                class_names=tuple(stored.class_names or ()),
            ),
            train,
            validation,
            test,
            binarize=self.binarize,
            factor_names=stored.factor_names,
            left_out=self._left_out(stored),
        )

    def _refuse_nan(self, stored: Stored, missing: bool) -> None:
        # before they are divided, so that the message counts examples as the user's file does
        own = {"training": stored.train, "validation": stored.validation, "test": stored.test}
        for name, split in own.items():
            if not isinstance(split, TensorSplit | StreamedSplit):
                continue
            if (first := split.first_not_finite(missing)) is None:
                continue
            # infinities first: corruption=missing would be no help while there are any
            what, advice = "NaN", "where NaN stands for what is not known, type corruption=missing"
            if (infinite := split.first_not_finite(missing=True)) is not None:
                first, what = infinite, "infinite values"
                advice = "take them out of the file (numbers above 3e38 count as infinite)"
            raise UserError(f"{self.origin}: {what} in {name} example {first}, counted from 0; {advice}")

    def _left_out(self, stored: Stored) -> tuple[int, ...]:
        """The numbers of the classes that `leave_out` names."""
        if not self.leave_out:
            return ()
        typed = f"data.leave_out=[{','.join(map(str, self.leave_out))}]"
        if stored.classes is None:
            raise UserError(f"{typed}: {self.origin} {_without_classes(stored)} to leave out; type data.leave_out=null")
        names = stored.class_names or [str(label) for label in range(stored.classes)]
        for name in map(str, self.leave_out):
            if name not in names:
                some = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
                raise UserError(f"{typed}: {self.origin} has no class {name}; must be of {some}")
        left_out = sorted({names.index(str(name)) for name in self.leave_out})
        if len(left_out) == stored.classes:
            raise UserError(f"{typed}: these are all classes of {self.origin}; one at least must remain to train on")
        return tuple(left_out)

    def _hide_labels(self, train: Split, stored: Stored, labels: int) -> Split:
        """The training examples with that many labels, on one split_seed a part of those of a larger number."""
        if stored.classes is None or not isinstance(train, TensorSplit | StreamedSplit) or train.y is None:
            raise UserError(
                f"data.labels={labels}: {self.origin} {_without_classes(stored)} to keep; type data.labels=null"
            )
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(self.split_seed))
        there = [label for label in range(stored.classes) if label not in self._left_out(stored)]
        members = [order[train.y[order] == label] for label in there]
        classes, fewest = len(there), min(map(len, members))
        if not classes <= labels <= classes * fewest:
            raise UserError(
                f"data.labels={labels}: must be from {classes}, one of each class, to {classes * fewest}, for a class "
                f"of {self.origin} has {fewest} labels to train on; data.labels=null keeps all"
            )
        y = torch.full_like(train.y, -1)
        for i, (label, examples) in enumerate(zip(there, members, strict=True)):
            y[examples[: labels // classes + (i < labels % classes)]] = label
        hidden = copy.copy(train)
        hidden.y = y
        return hidden

    def _divide(self, stored: Stored) -> tuple[Examples, Examples, Examples]:
        total = len(stored.train)
        if total < 2:
            raise UserError(f"{self.origin}: {counted(total, 'example')} to train on, at least 2 are needed")
        test_size = 0.1 if self.test is None and stored.test is None else self.test
        if self.validation is None and stored.validation is None:
            raise UserError("data.validation=null: this source has no validation split of its own; give a number")
        tested = _count("data.test", test_size, total)
        validated = _count("data.validation", self.validation, total - tested)
        if tested + validated > total - 2:
            raise UserError(
                f"{self.origin}: {total} examples, of which data.test takes {tested} and data.validation {validated}: "
                f"at least 2 must remain to train on"
            )
        left_out = self._left_out(stored)
        if tested == validated == 0 and not left_out and (self.limit is None or self.limit >= total):
            train = stored.train
            order = torch.arange(0)
        else:
            order = torch.randperm(total, generator=torch.Generator().manual_seed(self.split_seed))
            rest = _of_other_classes(stored.train, order[tested + validated :], left_out)
            train = stored.train.subset(rest[: self.limit].sort().values)
        own = (order[tested : tested + validated], order[:tested])
        validation = stored.validation if self.validation is None else stored.train.subset(own[0].sort().values)
        test = stored.test if test_size is None else stored.train.subset(own[1].sort().values)
        assert validation is not None
        assert test is not None
        if left_out and len(validation):
            validation = validation.subset(_of_other_classes(validation, torch.arange(len(validation)), left_out))
        return train, validation, test


def _without_classes(stored: Stored) -> str:
    y = getattr(stored.train, "y", None)
    return without_classes(y is not None and y.is_floating_point())


def _of_other_classes(examples: Examples, indices: Tensor, left_out: tuple[int, ...]) -> Tensor:
    """Those of the indices (n,) at which examples are of none of these classes."""
    y = getattr(examples, "y", None)
    if y is None or not left_out:
        return indices
    return indices[~torch.isin(y[indices], torch.tensor(left_out, dtype=y.dtype))]


def _count(key: str, value: float | None, total: int) -> int:
    """How many of `total` examples a setting asks for."""
    if not value:
        return 0
    if value < 1:
        return max(1, round(value * total))
    if value != int(value):
        raise UserError(f"{key}={value}: a fraction below 1, or a whole number of examples")
    return int(value)
