"""Training the features that suit a data set, on the data itself."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.evaluation.checks import exact, finite
from vae_runner.evaluation.features.networks import BLOCK, WIDTH, Components, Features, Network, frozen, values_of
from vae_runner.evaluation.features.summaries import Summaries, is_summed_up, summaries
from vae_runner.reporting.progress import watched
from vae_runner.without_compiler import without_compiler

BATCH = 128
RATE = 2e-3  # of Adam at the start; it falls to zero along a cosine
COMPONENT_EXAMPLES = 2000  # that principal components are found from
FLAT = 1e-6  # of the largest variance: components below are noise of rounding
LARGEST_HELDOUT = 2000
FEWEST = 10  # examples to learn from


def train_features(
    x: Tensor, y: Tensor | None, space: Space, *, seed: int = 0, steps: int = 500, heldout: float = 0.1
) -> Features:
    """Trains the features that suit the data, on the device of x; the global random state is left as it was.

    The default steps take about 10 s on one thread for images of 8x8, 15 s for 28x28, 80 s for 64x64 in colour.
    x: training examples (N, *shape), uint8 counting as divided by 255; of sequences that differ in length what
    `to_its_end` gives. y: classes (N,), -1 where hidden, or None.
    steps: of Adam, 128 examples each. heldout: the share of examples, at most 2,000, that accuracy is taken of.
    """
    if is_summed_up(space):
        summed = torch.cat([summaries(part, space) for part in x.split(BLOCK)])
        vectors = Space(tuple(summed.shape[1:]), "real", classes=space.classes)
        inner = train_features(summed, y, vectors, seed=seed, steps=steps, heldout=heldout)
        assert isinstance(inner, Network | Components)
        return frozen(Summaries(space, inner))
    if tuple(x.shape[1:]) != space.shape:
        raise UserError(f"features: examples {tuple(x.shape)} are not of the shape {space.shape}")
    if not 0 < heldout <= 0.5 or steps < 1:
        raise UserError(f"features: heldout={heldout} must lie in (0, 0.5], and steps={steps} be 1 or more")
    finite(x, "features: training examples")
    known = None if y is None else _classes(y, x, space)
    few = len(x) if known is None else len(known[0])
    if few < FEWEST:
        raise UserError(f"features: {few} examples to learn from, and at least {FEWEST} are needed")
    if known is None and not space.image:
        return frozen(_components(x, seed))
    if known is None:
        square = space.shape[1] == space.shape[2]
        return _trained(x, None, 4 if square else 2, seed, steps, heldout)
    indices, labels, classes = known
    return _trained(x[indices], labels, classes, seed, steps, heldout)


@torch.enable_grad()
def _trained(x: Tensor, y: Tensor | None, outputs: int, seed: int, steps: int, heldout: float) -> Network:
    """A network that tells the classes y of x, or else by how many of `outputs` turns x was turned."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(x), generator=generator)
    out = min(max(round(heldout * len(x)), 1), LARGEST_HELDOUT)
    test, train = order[:out], order[out:]

    def batch(indices: Tensor) -> tuple[Tensor, Tensor]:
        values, where = values_of(x[indices.to(x.device)]), indices.to(x.device)
        if y is not None:
            return values, y[where]
        values, turns = turned(values, outputs)
        return shifted(values, generator), turns

    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the devices' as well
        network = Network(tuple(x.shape[1:]), outputs, turns=y is None)
    network = network.to(x.device)
    _standardise(network, x, train)
    optimizer = without_compiler(torch.optim.Adam)(network.parameters(), lr=RATE)
    size = min(BATCH if y is not None else BATCH // outputs, len(train))
    waiting = train[:0]
    for step in watched(range(steps), steps, "steps of training the features"):
        if len(waiting) < size:  # whole passes, each in an order of its own
            waiting = train[torch.randperm(len(train), generator=generator)]
        values, classes = batch(waiting[:size])
        waiting = waiting[size:]
        optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        loss = F.cross_entropy(network(values), classes)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    frozen(network)
    with torch.no_grad():
        parts = [(network(values).argmax(1) == classes) for values, classes in map(batch, test.split(BLOCK))]
    network.accuracy = float(torch.cat(parts).double().mean())
    spread = exact(network.features(x[train[: 10 * BLOCK].to(x.device)])).var(0).mean()
    network.scale.copy_(spread.clamp_min(1e-12).rsqrt() if float(spread) > 0 else torch.ones(()))
    return network


def turned(x: Tensor, outputs: int) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) turned in every one of 4 quarter turns, or 2 half turns, and by how many: N outputs each."""
    turns = torch.arange(outputs, device=x.device).repeat_interleave(len(x))
    return torch.cat([x.rot90(i * 4 // outputs, (2, 3)) for i in range(outputs)]), turns


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each image (N, C, H, W) shifted by up to an eighth of its sides, the border repeated where nothing comes in."""
    places = []
    for side in x.shape[2:]:
        shifts = torch.randint(-(side // 8), side // 8 + 1, (len(x), 1), generator=generator)
        places.append((torch.arange(side) + shifts).clamp(0, side - 1).to(x.device))
    rows, columns = places
    which = torch.arange(len(x), device=x.device)[:, None, None]
    return x.movedim(1, 3)[which, rows[:, :, None], columns[:, None, :]].movedim(3, 1)


def _components(x: Tensor, seed: int) -> Components:
    generator = torch.Generator().manual_seed(seed)
    some = torch.randperm(len(x), generator=generator)[:COMPONENT_EXAMPLES].to(x.device)
    values = exact(values_of(x[some])).flatten(1)
    mean = values.mean(0)
    centred = (values - mean) / (len(values) - 1) ** 0.5
    wide = centred.shape[1] > len(centred)  # then the products of examples are fewer than those of dimensions
    variances, vectors = torch.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    variances, vectors = variances.flip(0)[:WIDTH], vectors.flip(1)[:, :WIDTH]
    count = int((variances > FLAT * variances[0]).sum()) if float(variances[0]) > 0 else 0
    if count == 0:
        raise UserError("features: all training examples are the same")
    components = Components(tuple(x.shape[1:]), count)
    components.mean.copy_(mean)
    variances, vectors = variances[:count], vectors[:, :count]
    components.directions.copy_(centred.T @ vectors / variances if wide else vectors / variances.sqrt())
    return components.to(x.device)


def _standardise(network: Network, x: Tensor, train: Tensor) -> None:
    """Mean and deviation by channel of images and by dimension of vectors, from as many examples as tell them."""
    values = exact(values_of(x[train[: 10 * BLOCK].to(x.device)]))
    over = (0, 2, 3) if x.dim() == 4 else (0,)
    network.mean.copy_(values.mean(over).view_as(network.mean))
    deviation = values.std(over, correction=0).view_as(network.deviation)
    largest = deviation.max() if float(deviation.max()) > 0 else torch.ones_like(deviation)
    # what is constant in training must not count without bound where it differs elsewhere
    network.deviation.copy_(torch.where(deviation > 1e-6 * largest, deviation, largest))


def _classes(y: Tensor, x: Tensor, space: Space) -> tuple[Tensor, Tensor, int] | None:
    """Which examples have a known class, these classes, and how many there are; None where all are hidden."""
    if y.dim() != 1 or y.is_floating_point() or len(y) != len(x):
        raise UserError(f"features: classes are integers (N,), not {tuple(y.shape)} of {y.dtype}; give None for others")
    y = y.to(x.device).long()
    indices = (y >= 0).nonzero().squeeze(1)
    if len(indices) == 0:
        return None
    labels = y[indices]
    classes = space.classes or int(labels.max()) + 1
    if classes < 2:
        raise UserError("features: two classes at least are needed; give None where there are none")
    if int(labels.max()) >= classes:
        raise UserError(f"features: a class is {int(labels.max())}, and the data has {classes}")
    return indices, labels, classes
