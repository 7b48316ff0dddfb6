"""Text as tokens, characters or words: a user's own, or the numbers, dates and times of `number_words`."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import torch
from torch import Tensor

from vae_runner.data import number_words
from vae_runner.data.data import Data
from vae_runner.data.source import Source, Stored
from vae_runner.data.splits import Examples, Split, TensorSplit
from vae_runner.data.tokens import CHARACTERS, END, UNKNOWN, WORDS, split_words
from vae_runner.data.windows import Divided, in_time, padded, require_room, windows
from vae_runner.errors import UserError
from vae_runner.settings import Range


class Text(Source):
    """Examples (T,) of tokens; the vocabulary is that of the training text, and goes with the space.

    path: a text file in UTF-8; None: phrases in words, of three classes.
    layout: an example is one of the `lines`, ended by token 0 and filled up with it, or `steps` tokens of `running`
        text, of which the last part is for the test.
    steps: of lines the longest that is kept (None: the longest line and its end), or those of a window.
    vocabulary: how many tokens are kept, the most frequent first; None: all.
    labelled: whether each line begins with its class and a tab.
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        unit: Literal["characters", "words"] = "characters",
        layout: Literal["lines", "running"] = "lines",
        steps: Annotated[int, Range(1)] | None = None,
        vocabulary: Annotated[int, Range(1)] | None = None,
        labelled: bool = False,
        **common,
    ) -> None:
        super().__init__(**common)
        self.path, self.unit, self.running, self.steps = path, unit, layout == "running", steps
        self.most, self.labelled = vocabulary, labelled
        self.vocabulary: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        return f"data.path={self.path}" if self.path else "data=text"

    def load(self) -> Stored:
        if self.binarize != "none":
            raise UserError(f"data.binarize={self.binarize}: characters and words are not grey; type none")
        if self.running:
            self._refuse_running()
        if not self.path:
            names, phrases = zip(*number_words.lines(), strict=True)
            return self._lines(phrases, names)
        text = self._read(Path(self.path).expanduser())
        if self.running:
            return Stored(TensorSplit(self._numbered([self._split(text)])[0]))
        lines = [line for line in text.split("\n") if line.strip()]
        if not self.labelled:
            return self._lines(lines)
        without = next((line for line in lines if "\t" not in line), None)
        if without is not None:
            raise UserError(f"{self.origin}: data.labelled=true, but there is no tab in the line: {without[:60]}")
        names, _, texts = zip(*(line.partition("\t") for line in lines), strict=True)
        return self._lines(texts, names)

    def _refuse_running(self) -> None:
        """Raises UserError for what running text lacks, or has too much."""
        if not self.path:
            raise UserError("data.layout=running: is of a file; give data.path, or leave data.layout out")
        if self.steps is None:
            raise UserError("data.layout=running: give data.steps, the tokens of an example, as in data.steps=100")
        if self.labelled:
            raise UserError("data.labelled=true: running text (data.layout=running) has no classes; leave it out")

    def _read(self, path: Path) -> str:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = "it is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
            raise UserError(f"{self.origin}: cannot be read: {reason}") from error
        if not text.strip():
            raise UserError(f"{self.origin}: there is no text in it")
        return text

    def _lines(self, texts: Sequence[str], names: Sequence[str] = ()) -> Stored:
        parts = [[*self._split(text), CHARACTERS[END]][: self.steps] for text in texts]
        split = padded({"train": self._numbered(parts)})["train"]
        if not names:
            return Stored(split)
        known = sorted(set(names))
        number = {name: i for i, name in enumerate(known)}
        split.y = torch.tensor([number[name] for name in names])
        return Stored(split, classes=len(known), class_names=known)

    def _split(self, text: str) -> list[str]:
        return split_words(text) if self.unit == "words" else list(text)

    def _numbered(self, parts: Sequence[Sequence[str]]) -> Sequence[Tensor]:
        """Each part as numbers of all the tokens there are; which of these are kept, the training text decides."""
        special = WORDS if self.unit == "words" else CHARACTERS
        self.vocabulary = tuple(dict.fromkeys(chain(special, *parts)))
        number = {token: i for i, token in enumerate(self.vocabulary)}
        return torch.tensor([number[token] for part in parts for token in part]).split([len(part) for part in parts])

    def _divide(self, stored: Stored) -> tuple[Examples, Examples, Examples]:
        divided: Divided = super()._divide(stored)
        return in_time(stored, divided) if self.running else divided

    def scale(self, train: Split, validation: Split, test: Split) -> tuple[Split, Split, Split]:
        splits = [split for split in (train, validation, test) if isinstance(split, TensorSplit)]
        counts = splits[0].x.flatten().bincount(minlength=len(self.vocabulary))
        counts[[END, UNKNOWN]] = 0
        kept = counts.argsort(descending=True, stable=True)[: int((counts > 0).sum())][: self.most]
        number = torch.full_like(counts, UNKNOWN)
        number[END] = END
        number[kept] = torch.arange(UNKNOWN + 1, UNKNOWN + 1 + len(kept))
        self.vocabulary = (*self.vocabulary[: UNKNOWN + 1], *(self.vocabulary[i] for i in kept.tolist()))
        for split in splits:
            split.x = number[split.x]
        if self.running:
            assert self.steps is not None
            require_room("data.steps", self.steps, self.origin, splits)
            splits = [windows(split, self.steps, self.steps) for split in splits]
        return splits[0], splits[1], splits[2]

    def open(self, missing: bool = False) -> Data:
        data = super().open(missing)
        data.space = replace(data.space, categories=len(self.vocabulary), vocabulary=self.vocabulary)
        return data
