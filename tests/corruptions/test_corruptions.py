"""What the encoder sees instead of an example."""

import pytest
import torch

from tests.data.test_batches import NoSynchronisation
from vae_runner.corruptions.gaussian import Gaussian
from vae_runner.corruptions.mask_block import MaskBlock
from vae_runner.corruptions.mask_random import MaskRandom
from vae_runner.corruptions.missing import Missing
from vae_runner.corruptions.salt_pepper import SaltPepper
from vae_runner.data.space import Batch, Space
from vae_runner.errors import UserError

SPACES = {
    "vectors": Space((12,), "unit"),
    "images": Space((3, 8, 6), "unit"),
    "sequences": Space((20, 4), "unit", ragged=True),
    "text": Space((20,), "categorical", ragged=True, categories=9),
}
MASKING = [MaskRandom, MaskBlock, Missing]
NUMERIC = [Gaussian, SaltPepper]


def batch_of(space: Space, n: int = 64) -> Batch:
    torch.manual_seed(0)
    if space.support == "categorical":
        x = torch.randint(2, space.categories, (n, *space.shape))
    else:
        x = 0.25 + 0.5 * torch.rand(n, *space.shape)
    mask = None
    if space.ragged:
        mask = (torch.arange(space.shape[0]) < torch.randint(10, 21, (n, 1))).float()
        mask = mask if x.ndim == 2 else mask.unsqueeze(-1)
        x = (x * mask).to(x.dtype)
    return Batch(x=x, input=x, mask=mask)


PAIRS = [
    pytest.param(kind, space, id=f"{kind.__name__}-{name}")
    for name, space in SPACES.items()
    for kind in (MASKING if space.support == "categorical" else MASKING + NUMERIC)
]


@pytest.mark.parametrize(("kind", "space"), PAIRS)
def test_the_input_changes_and_the_target_does_not(kind, space):
    batch = batch_of(space)
    before = batch.x.clone()
    corrupted = kind(space, level=0.5)(batch)
    assert torch.equal(corrupted.x, before)
    assert corrupted.input.shape == before.shape
    assert corrupted.input.dtype == before.dtype
    assert 0.1 < (corrupted.input != before).float().mean() <= 1


@pytest.mark.parametrize(("kind", "space"), PAIRS)
def test_padding_stays_as_it_is(kind, space):
    batch = batch_of(space)
    corrupted = kind(space, level=0.5)(batch)
    if batch.mask is None:
        batch.mask = torch.ones_like(batch.x)
    padding = (batch.mask == 0).expand_as(batch.x)
    assert torch.equal(corrupted.input[padding], batch.x[padding])


@pytest.mark.parametrize(("kind", "space"), PAIRS)
def test_nothing_waits_for_the_device(kind, space):
    batch = batch_of(space)
    with NoSynchronisation() as watched:
        kind(space, level=[0.1, 0.5])(batch)
    assert watched.seen


@pytest.mark.parametrize(("kind", "space"), PAIRS)
def test_the_noise_follows_the_global_random_state_and_is_drawn_afresh(kind, space):
    batch, corruption = batch_of(space), kind(space, level=0.5)
    torch.manual_seed(3)
    first, other = corruption(batch).input, corruption(batch).input
    torch.manual_seed(3)
    assert torch.equal(first, corruption(batch).input)
    assert not torch.equal(first, other)


def hidden_share(corruption, space, n=4000):
    """The share of each example's values that count which were hidden, (n,)."""
    batch = batch_of(space, n)
    counts = torch.ones_like(batch.x) if batch.mask is None else batch.mask.expand_as(batch.x).to(torch.float32)
    changed = (corruption(batch).input != batch.x).float()
    return changed.flatten(1).sum(1) / counts.flatten(1).sum(1)


@pytest.mark.parametrize("kind", MASKING)
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("level", [0.0, 0.25, 1.0])
def test_the_share_that_is_hidden_is_the_level(kind, space, level):
    assert float(hidden_share(kind(space, level=level), space).mean()) == pytest.approx(level, abs=0.02)


def test_a_share_of_the_values_is_set_to_the_two_extremes_in_equal_parts():
    batch = batch_of(SPACES["images"], 2000)
    seen = SaltPepper(SPACES["images"], level=0.3)(batch).input
    assert float((seen == 0).float().mean()) == pytest.approx(0.15, abs=0.01)
    assert float((seen == 1).float().mean()) == pytest.approx(0.15, abs=0.01)


def test_gaussian_noise_has_the_deviation_asked_for_and_is_not_clipped():
    batch = batch_of(SPACES["images"], 2000)
    noise = Gaussian(SPACES["images"], level=0.4)(batch).input - batch.x
    assert float(noise.std()) == pytest.approx(0.4, rel=0.01)
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)
    assert float((batch.x + noise).min()) < -0.5


def test_a_range_gives_each_example_a_level_of_its_own_evenly_spread():
    space = Space((2000,), "unit")
    shares = hidden_share(MaskRandom(space, level=[0.2, 0.6]), space, 1000)
    assert float(shares.min()) == pytest.approx(0.2, abs=0.04)
    assert float(shares.max()) == pytest.approx(0.6, abs=0.04)
    assert float(shares.quantile(0.25)) == pytest.approx(0.3, abs=0.03)


def test_a_hidden_pixel_is_hidden_in_all_its_channels_and_a_hidden_step_whole():
    image = MaskRandom(SPACES["images"], level=0.5)(batch_of(SPACES["images"])).input == 0
    assert torch.equal(image.any(1), image.all(1))
    batch = batch_of(SPACES["sequences"])
    step = MaskRandom(SPACES["sequences"], level=0.5)(batch).input == 0
    assert torch.equal(step.any(2), step.all(2))


def test_a_hidden_token_is_the_unknown_one():
    batch = batch_of(SPACES["text"])
    seen = MaskRandom(SPACES["text"], level=0.5)(batch).input
    assert set(seen[seen != batch.x].tolist()) == {1}


def test_a_hole_in_an_image_is_one_rectangle_with_the_images_proportions():
    space = Space((1, 12, 8), "unit")
    hidden = MaskBlock(space, level=0.25)(batch_of(space, 500)).input[:, 0] == 0
    rows, columns = hidden.any(2), hidden.any(1)
    assert set(rows.sum(1).tolist()) == {6}
    assert set(columns.sum(1).tolist()) == {4}
    assert torch.equal(hidden, rows[:, :, None] & columns[:, None])
    assert set(rows.int().argmax(1).tolist()) == set(range(7))
    assert set(columns.int().argmax(1).tolist()) == set(range(5))


def test_a_hole_in_a_sequence_is_one_stretch_within_its_own_length():
    batch = batch_of(SPACES["sequences"], 500)
    hidden = (MaskBlock(SPACES["sequences"], level=0.5)(batch).input != batch.x)[..., 0]
    lengths = batch.mask.flatten(1).sum(1)
    assert torch.equal(hidden.sum(1), (lengths / 2).round().long())
    starts = hidden.int().argmax(1)
    stretch = (torch.arange(20) >= starts[:, None]) & (torch.arange(20) < (starts + hidden.sum(1))[:, None])
    assert torch.equal(hidden, stretch)


@pytest.mark.parametrize("kind", NUMERIC)
def test_text_has_no_shades(kind):
    with pytest.raises(UserError, match="this data is text: type corruption=mask_random"):
        kind(SPACES["text"])


def test_salt_and_pepper_need_values_with_bounds():
    with pytest.raises(UserError, match="type corruption=gaussian"):
        SaltPepper(Space((3,), "real"))


def test_the_ends_of_a_range_come_in_their_order():
    with pytest.raises(UserError, match=r"corruption.level=\[0.6,0.2\]: the lower end comes first; type \[0.2,0.6\]"):
        MaskRandom(SPACES["vectors"], level=[0.6, 0.2])
