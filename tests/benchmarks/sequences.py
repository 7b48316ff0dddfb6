"""Runs on sequences against what needs no such model: `python tests/benchmarks/sequences.py RUN ...`.

Music: the test bound per step, beside that of keys which are told the step before. Series: the test error beside that
of PCA with as many latents, and how often the five nearest codes are of the same class. Text: bits per token beside a
trigram model's, and how many samples are new.
"""

import math
import sys
from collections import Counter

import torch
from torch import Tensor

from vae_runner.build import Run
from vae_runner.data.tokens import END
from vae_runner.evaluation.blocks import blocks
from vae_runner.evaluation.evaluate import Preserved
from vae_runner.evaluation.reconstructions import reconstruct

SAMPLES = 1000


def measure(run: Run) -> dict[str, float]:
    space, data, codes, labels = run.model.space, run.data, {}, {}
    x, mask, error = {}, {}, {}
    for name in ("train", "test"):
        split = getattr(data, name)
        batches = [data.batch(split, block.indices) for block in blocks(split, run.device)]
        x[name] = torch.cat([batch.x for batch in batches])
        mask[name] = None if batches[0].mask is None else torch.cat([batch.mask for batch in batches])
        codes[name] = torch.cat([run.model.encode(batch)[-1].flatten(1) for batch in batches])
        labels[name] = None if batches[0].y is None else torch.cat([batch.y for batch in batches])
        if space.support == "real":
            error[name] = torch.cat([reconstruct(run.model, batch).squared_error for batch in batches]).mean()
    figures: dict[str, float] = {}
    if space.ragged:
        figures["bound per step"] = run.summary["test"]["elbo"] * len(x["test"]) / float(mask["test"].sum())
    if space.support == "categorical":
        told = [
            [row[: int(n)].tolist() for row, n in zip(x[s], mask[s].sum(1), strict=True)] for s in ("train", "test")
        ]
        known = {tuple(row) for split in (data.train, data.validation, data.test) for row in split.x.tolist()}
        drawn = [tuple(row) for row in run.model.sample(SAMPLES).tolist()]
        figures["bits per token"] = -figures["bound per step"] / math.log(2)
        figures["trigram bits per token"] = trigram(told[0], told[1], space.categories)
        figures["new samples"] = sum(row not in known for row in drawn) / len(drawn)
    if space.support == "binary":
        figures["keys told the step before"] = keys(x["train"], mask["train"], x["test"], mask["test"])
    if space.support == "real":
        figures["error"] = float(error["test"])
        figures["PCA error"] = pca(x["train"].flatten(1), x["test"].flatten(1), codes["test"].shape[1])
    if labels["test"] is not None:
        from sklearn.neighbors import KNeighborsClassifier

        neighbours = KNeighborsClassifier(5).fit(codes["train"], labels["train"])
        figures["neighbours of one class"] = float(neighbours.score(codes["test"], labels["test"]))
    return figures


def keys(x: Tensor, mask: Tensor, x_test: Tensor, mask_test: Tensor) -> float:
    """log p of a step in nats where each key follows from all keys of the step before, by logistic regression."""
    from sklearn.linear_model import LogisticRegression

    (before, now), (before_test, now_test) = steps(x, mask), steps(x_test, mask_test)
    total = 0.0
    for key in range(x.shape[2]):
        sounds, truth = now[:, key], now_test[:, key]
        if sounds.unique().numel() < 2:
            chance = (sounds.sum() + 0.5) / (len(sounds) + 1)
            chances = chance.expand(len(truth)).double()
        else:
            fitted = LogisticRegression(max_iter=1000).fit(before, sounds)
            chances = torch.from_numpy(fitted.predict_proba(before_test)[:, 1])
        total += float(torch.where(truth > 0, chances, 1 - chances).log().sum())
    return total / len(now_test)


def steps(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The steps (M, D) of sequences (N, T, D), and of each the one before it, silence before the first."""
    there = mask.flatten(1) > 0
    before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)
    return before[there], x[there]


def pca(train: Tensor, test: Tensor, dimensions: int) -> float:
    from sklearn.decomposition import PCA

    fitted = PCA(dimensions).fit(train)
    return float(((fitted.inverse_transform(fitted.transform(test)) - test.numpy()) ** 2).mean())


def trigram(train: list[list[int]], test: list[list[int]], categories: int) -> float:
    """Bits per token of a trigram model, smoothed by bigrams, unigrams and the uniform as Witten & Bell 1991 do."""
    seen: Counter = Counter()  # how often a token came after a context, (*context, token)
    after: Counter = Counter()  # how often the context came
    kinds: Counter = Counter()  # how many tokens came after it
    for row in train:
        for i, token in enumerate(padded := (END, END, *row)):
            for order in range(3) if i >= 2 else ():
                context = padded[i - order : i]
                kinds[context] += (*context, token) not in seen
                seen[(*context, token)] += 1
                after[context] += 1
    bits = 0.0
    for row in test:
        padded = (END, END, *row)
        for i in range(2, len(padded)):
            chance = 1 / categories
            for context in (padded[i - order : i] for order in range(3)):
                if after[context]:
                    chance = (seen[(*context, padded[i])] + kinds[context] * chance) / (after[context] + kinds[context])
            bits -= math.log2(chance)
    return bits / sum(map(len, test))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for directory in sys.argv[1:]:
        run = Run.load(directory)
        with Preserved(run.model, run.device, 0):
            print(directory, {name: round(value, 4) for name, value in measure(run).items()})
