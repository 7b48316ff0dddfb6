"""Between text and tokens, with nothing but the vocabulary.

Token 0 ends a text and fills what is left, 1 stands for what the training text did not have. A word carries the blank
before it, so that tokens side by side are the text again; a vocabulary of words is told by its unknown token, which
does so too.
"""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

END, UNKNOWN = 0, 1
CHARACTERS, WORDS = ("", "\N{REPLACEMENT CHARACTER}"), ("", " \N{REPLACEMENT CHARACTER}")
WORD = re.compile(r" ?\w+(?:'\w+)*| ?[^\w\s]|\s")


def split_words(text: str) -> list[str]:
    """Words and punctuation marks, each with the blank before it; the first word of a line is given one."""
    return WORD.findall(re.sub(r"(?m)^(?=\w)", " ", text))


def to_tokens(text: str, vocabulary: Sequence[str]) -> Tensor:
    """The text as tokens (T,), int64, without an end."""
    number = {token: i for i, token in enumerate(vocabulary)}
    return torch.tensor([number.get(part, UNKNOWN) for part in _parts(text, vocabulary)], dtype=torch.long)


def unknown_in(text: str, vocabulary: Sequence[str]) -> list[str]:
    """The characters or words of a text that a vocabulary lacks, each once."""
    return list(dict.fromkeys(part.strip() or part for part in _parts(text, vocabulary) if part not in vocabulary))


def _parts(text: str, vocabulary: Sequence[str]) -> Sequence[str]:
    return split_words(text) if vocabulary[UNKNOWN] == WORDS[UNKNOWN] else text


def to_text(tokens: Tensor, vocabulary: Sequence[str]) -> list[str]:
    """The texts of tokens (N, T), each up to its end."""
    texts = []
    for row in tokens.tolist():
        text = "".join(vocabulary[token] for token in row[: row.index(END) if END in row else None])
        texts.append(re.sub(r"(?m)^ (?=\w)", "", text) if vocabulary[UNKNOWN] == WORDS[UNKNOWN] else text)
    return texts
