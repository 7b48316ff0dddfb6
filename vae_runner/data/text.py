"""Text as tokens, characters or words: a user's own, or the numbers, dates and times of `number_words`."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import torch

from vae_runner.data import number_words
from vae_runner.data.data import Data
from vae_runner.data.source import Source, Stored
from vae_runner.data.splits import Examples, Split, TensorSplit
from vae_runner.data.tokens import CHARACTERS, END, UNKNOWN, WORDS, split_words, to_tokens
from vae_runner.data.windows import Divided, in_time, padded, windows
from vae_runner.errors import UserError
from vae_runner.settings import Range


class Text(Source):
    """Examples (T,) of tokens; the vocabulary is that of the training text, and goes with the space.

    path: a text file in UTF-8; None: phrases in words, of three classes.
    layout: an example is one of the `lines`, ended by token 0 and filled up with it, or `steps` tokens of `running`
        text, of which the last part is for the test.
    steps: of lines the longest that is kept (None: the longest line and its end), or those of a window.
    vocabulary: how many tokens are kept, the most frequent first; None: all.
    labels: whether each line begins with its class and a tab.
    """

    def __init__(
        self,
        *,
        path: str | None = None,
        unit: Literal["characters", "words"] = "characters",
        layout: Literal["lines", "running"] = "lines",
        steps: Annotated[int, Range(1)] | None = None,
        vocabulary: Annotated[int, Range(1)] | None = None,
        labels: bool = False,
        **common,
    ) -> None:
        super().__init__(**common)
        self.path, self.unit, self.running, self.steps = path, unit, layout == "running", steps
        self.most, self.labels = vocabulary, labels
        self.vocabulary = CHARACTERS if unit == "characters" else WORDS

    @property
    def origin(self) -> str:
        return f"data.path={self.path}" if self.path else "data=text"

    def load(self) -> Stored:
        if self.binarize != "none":
            raise UserError(f"data.binarize={self.binarize}: characters and words are not grey; type none")
        if self.running and (self.steps is None or self.labels or not self.path):
            raise UserError("data.layout=running: needs data.path and data.steps, and takes no data.labels")
        if not self.path:
            return self._lines([phrase for _, phrase in number_words.lines()], [name for name, _ in number_words.lines()])
        text = self._read(Path(self.path).expanduser())
        if self.running:
            return Stored(TensorSplit(self._tokens([text])[0]))
        lines = [line for line in text.split("\n") if line.strip()]
        if not self.labels:
            return self._lines(lines)
        for number, line in enumerate(lines, 1):
            if "\t" not in line:
                raise UserError(f"{self.origin}: data.labels=true, but there is no tab in line {number}: {line[:40]}")
        labels, _, lines = zip(*(line.partition("\t") for line in lines), strict=True)
        return self._lines(lines, labels)
