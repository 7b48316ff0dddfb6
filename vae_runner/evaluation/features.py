"""Features in which samples are compared with data, from a small network that is trained on the data itself.

What is known as FID compares images in the features of an Inception network. Where there is none at hand, or the data
is not photographs, a network that learnt to tell the data's own classes takes its place:

    images with classes       convolutions                          features: its last hidden layer, 64 units
    images without            the same, told by how many quarter turns an image was turned (Gidaris et al. 2018);
                              half turns, where images are not square. Images are also shifted by up to an eighth of a
                              side, or else where their centre lies, to half a pixel, tells the turn
    vectors with classes      a fully connected network             the same
    vectors without           their whitened principal components, 64 at most, and no network
    images, given a file      Inception v3 (Szegedy et al. 2016)    its 2,048 pooled features

The features of a network are scaled, all by one number, so that their mean variance over the training examples is 1.
Figures in one of these compare with each other, for the same data and the same network, and not with published ones.
Each says in `name` what it is. Sequences of vectors count as one long vector; text has no features.
"""

import hashlib
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_runner.data.space import Space
from vae_runner.errors import UserError
from vae_runner.evaluation.checks import exact, finite
from vae_runner.run_directory import write_bytes

FORMAT = "vae_runner features 1"
WIDTH = 64  # features, and channels of the later convolutions
STEM = 32  # channels of the first convolution
HIDDEN = 256  # units of the first layer of the fully connected network
SMALL = 4  # side from which on maps are not halved
BATCH = 128
RATE = 2e-3  # of Adam at the start; it falls to zero along a cosine
BLOCK = 500  # examples at a time
COMPONENT_EXAMPLES = 2000  # that principal components are found from
FLAT = 1e-6  # of the largest variance: components below are noise of rounding
LARGEST_HELDOUT = 2000
FEWEST = 10  # examples to learn from


class Features(nn.Module):
    """A map from examples to features; it has no gradients, and stays in evaluation mode once trained.

    name: says which features they are. accuracy: of its task on examples that it was not trained on, None where it has
    no task. dimensions: D.
    """

    name: str
    accuracy: float | None = None
    dimensions: int

    def features(self, x: Tensor) -> Tensor:
        """x (N, *shape), as stored or in float, -> (N, D), on the device of the module."""
        return self._by_blocks(self.hidden, x)

    def probabilities(self, x: Tensor) -> Tensor | None:
        """p(class|x), (N, C), of x (N, *shape); None for features that know no classes."""
        return None

    def hidden(self, x: Tensor) -> Tensor:
        """The features of one block of x (N, *shape), in float."""
        raise NotImplementedError

    @torch.no_grad()
    def _by_blocks(self, of: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        device = next(iter(self.state_dict().values())).device
        return torch.cat([of(_values(part).to(device)) for part in x.split(BLOCK)])


class Network(Features):
    """A classifier of `outputs` classes of examples of `shape`; turns: whether these are turns and not the data's."""

    mean: Tensor
    deviation: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...], outputs: int, *, turns: bool = False) -> None:
        super().__init__()
        self.shape, self.outputs, self.turns = tuple(shape), outputs, turns
        image = len(shape) == 3
        self.body = _convolutions(self.shape) if image else _layers(math.prod(shape))
        self.head = nn.Linear(WIDTH, outputs)
        sizes = (shape[0], 1, 1) if image else tuple(shape)
        self.register_buffer("mean", torch.zeros(sizes))
        self.register_buffer("deviation", torch.ones(sizes))
        self.register_buffer("scale", torch.ones(()))
        self.dimensions = WIDTH
        network = "a convolutional network" if image else "a fully connected network"
        task = f"{outputs} {'turns' if turns else 'classes'} of this data"
        self.name = f"last hidden layer of {network} trained to tell {task}"

    @property
    def settings(self) -> dict[str, Any]:
        return {"shape": list(self.shape), "outputs": self.outputs, "turns": self.turns}

    def hidden(self, x: Tensor) -> Tensor:
        return self._body(_of_shape(x, self.shape)) * self.scale

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self._body(x))

    def _body(self, x: Tensor) -> Tensor:
        return self.body((x - self.mean) / self.deviation)

    def probabilities(self, x: Tensor) -> Tensor | None:
        return None if self.turns else self._by_blocks(lambda part: self(_of_shape(part, self.shape)).softmax(1), x)


class Components(Features):
    """Principal components of unit variance, as many as `components` of examples of `shape`: (x - mean) V / sqrt(l)."""

    mean: Tensor
    directions: Tensor

    def __init__(self, shape: tuple[int, ...], components: int) -> None:
        super().__init__()
        self.shape, self.dimensions = tuple(shape), components
        self.register_buffer("mean", torch.zeros(math.prod(shape)))
        self.register_buffer("directions", torch.zeros(math.prod(shape), components))
        self.name = f"{components} whitened principal components of this data"

    @property
    def settings(self) -> dict[str, Any]:
        return {"shape": list(self.shape), "components": self.dimensions}

    def hidden(self, x: Tensor) -> Tensor:
        return (_of_shape(x, self.shape).flatten(1) - self.mean) @ self.directions


class InceptionFeatures(Features):
    """torchvision's Inception v3 with the weights of a file, such as those that torchvision publishes for ImageNet.

    Images in [0, 1], grey or of three colours, are resized to 299x299 (bilinear) and mapped to [-1, 1]. Published FIDs
    are of another port of the network with other weights: figures in these features are not to be set beside them.
    """

    SIDE = 299

    def __init__(self, path: Path | str) -> None:
        super().__init__()
        path = Path(path)
        content = _read(path)
        weights = _state(content, path)
        # the second head serves training alone
        weights = {name: value for name, value in weights.items() if not name.startswith("AuxLogits.")}
        if not isinstance(weights.get("fc.weight"), Tensor) or weights["fc.weight"].dim() != 2:
            raise UserError(f"{path}: not the weights of torchvision's inception_v3 (there is no fc.weight)")
        from torchvision.models import inception_v3

        with torch.random.fork_rng([]):  # its weights are drawn before they are replaced
            self.network = inception_v3(
                weights=None, aux_logits=False, init_weights=False, num_classes=len(weights["fc.weight"])
            )
        try:
            self.network.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(f"{path}: not the weights of torchvision's inception_v3") from error
        self.head = self.network.fc
        self.network.fc = nn.Identity()
        self.dimensions = self.head.in_features
        digest = hashlib.sha256(content).hexdigest()[:8]
        self.name = f"pooled features of Inception v3 (torchvision) with the weights {path.name} ({digest})"
        _freeze(self)

    def hidden(self, x: Tensor) -> Tensor:
        if x.dim() != 4 or x.shape[1] not in (1, 3):
            raise UserError(f"Inception features: images of one or three channels are needed, not {tuple(x.shape[1:])}")
        x = F.interpolate(
            finite(x, "Inception features: images"), (self.SIDE, self.SIDE), mode="bilinear", align_corners=False
        )
        return torch.cat([self.network(2 * part.expand(-1, 3, -1, -1) - 1) for part in x.split(50)])

    def probabilities(self, x: Tensor) -> Tensor | None:
        """p(class|x) of the classes that the weights know, 1,000 of ImageNet: not those of the data."""
        return self._by_blocks(lambda part: self.head(self.hidden(part)).softmax(1), x)


def train_features(
    x: Tensor, y: Tensor | None, space: Space, *, seed: int = 0, steps: int = 500, heldout: float = 0.1
) -> Features:
    """Trains the features that suit the data, on the device of x; the global random state is left as it was.

    The default steps take about 10 s on one thread for images of 8x8, 15 s for 28x28, 80 s for 64x64 in colour.
    x: training examples (N, *shape), uint8 counting as divided by 255. y: classes (N,), -1 where hidden, or None.
    steps: of Adam, 128 examples each. heldout: the share of examples, at most 2,000, that accuracy is taken of.
    """
    if space.support == "categorical":
        raise UserError("features: text has none, for a network that reads tokens is not provided")
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
        return _freeze(_components(x, seed))
    if known is None:
        square = space.shape[1] == space.shape[2]
        return _trained(x, None, 4 if square else 2, seed, steps, heldout)
    indices, labels, classes = known
    return _trained(x[indices], labels, classes, seed, steps, heldout)


def save(features: Features, path: Path) -> None:
    """Writes trained features to a file, which appears whole or not at all."""
    if not isinstance(features, Network | Components):
        raise UserError("features: those of a file are kept as that file")
    buffer = io.BytesIO()
    state = {name: value.cpu() for name, value in features.state_dict().items()}
    kind = type(features).__name__
    torch.save(
        {"format": FORMAT, "kind": kind, **features.settings, "accuracy": features.accuracy, "state": state}, buffer
    )
    write_bytes(path, buffer.getvalue())


def load(path: Path) -> Features:
    """Features that `save` wrote, on the CPU. Raises UserError where the file is anything else."""
    saved = _state(_read(path), path)
    if saved.pop("format", None) != FORMAT:
        raise UserError(f"{path}: not features of vae_runner")
    kind, accuracy, state = (saved.pop(key) for key in ("kind", "accuracy", "state"))
    shape = tuple(saved.pop("shape"))
    with torch.random.fork_rng([]):
        features: Network | Components = Network(shape, **saved) if kind == "Network" else Components(shape, **saved)
    features.load_state_dict(state)
    features.accuracy = accuracy
    return _freeze(features)


@torch.enable_grad()
def _trained(x: Tensor, y: Tensor | None, outputs: int, seed: int, steps: int, heldout: float) -> Network:
    """A network that tells the classes y of x, or else by how many of `outputs` turns x was turned."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(x), generator=generator)
    out = min(max(round(heldout * len(x)), 1), LARGEST_HELDOUT)
    test, train = order[:out], order[out:]

    def batch(indices: Tensor) -> tuple[Tensor, Tensor]:
        values, where = _values(x[indices.to(x.device)]), indices.to(x.device)
        if y is not None:
            return values, y[where]
        values, turns = turned(values, outputs)
        return shifted(values, generator), turns

    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the devices' as well
        network = Network(tuple(x.shape[1:]), outputs, turns=y is None)
    network = network.to(x.device)
    _standardise(network, x, train)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    size = min(BATCH if y is not None else BATCH // outputs, len(train))
    waiting = train[:0]
    for step in range(steps):
        if len(waiting) < size:  # whole passes, each in an order of its own
            waiting = train[torch.randperm(len(train), generator=generator)]
        values, classes = batch(waiting[:size])
        waiting = waiting[size:]
        optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        loss = F.cross_entropy(network(values), classes)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    _freeze(network)
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
    values = exact(_values(x[some])).flatten(1)
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
    values = exact(_values(x[train[: 10 * BLOCK].to(x.device)]))
    over = (0, 2, 3) if x.dim() == 4 else (0,)
    network.mean.copy_(values.mean(over).view_as(network.mean))
    deviation = values.std(over, correction=0).view_as(network.deviation)
    largest = deviation.max() if float(deviation.max()) > 0 else torch.ones_like(deviation)
    # what is constant in training must not count without bound where it differs elsewhere
    network.deviation.copy_(torch.where(deviation > 1e-6 * largest, deviation, largest))


def _convolutions(shape: tuple[int, ...]) -> nn.Sequential:
    """Halves maps to sides of about 4, then to a vector of features."""
    channels, *sides = shape
    layers: list[nn.Module] = []
    stride = 2 if min(sides) >= 4 * SMALL else 1
    outputs = STEM
    while True:
        layers += [nn.Conv2d(channels, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        sides = [(side - 1) // stride + 1 for side in sides]
        channels, outputs, stride = outputs, WIDTH, 2
        if (min(sides) <= SMALL and len(layers) > 3) or min(sides) < 2:
            break
    # of long images the long side is still long
    rows, columns = (min(side, SMALL) for side in sides)
    if (rows, columns) != tuple(sides):
        layers.append(nn.AdaptiveAvgPool2d((rows, columns)))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * rows * columns, WIDTH), nn.ReLU())


def _layers(size: int) -> nn.Sequential:
    first = [nn.Flatten(), nn.Linear(size, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU()]
    return nn.Sequential(*first, nn.Linear(HIDDEN, WIDTH), nn.ReLU())


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


def _values(x: Tensor) -> Tensor:
    """Examples as they are stored, as floats."""
    return x.float() / 255 if x.dtype == torch.uint8 else x.float()


def _of_shape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    if tuple(x.shape[1:]) != shape:
        raise UserError(f"features: examples of the shape {tuple(x.shape[1:])}, and the features are of {shape}")
    return finite(x, "features: examples")


def _freeze(features: Any) -> Any:
    return features.eval().requires_grad_(False)


def _read(path: Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _state(content: bytes, path: Path) -> dict[str, Any]:
    """A file of tensors and plain containers."""
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path}: not a file of weights, or it holds more than tensors, or is damaged") from error
    if not isinstance(state, dict):
        raise UserError(f"{path}: not a file of weights")
    return dict(state)
