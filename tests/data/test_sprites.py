"""Sprites against properties of geometry, and the order of dSprites."""

import itertools
import math

import pytest
import torch

from vae_runner.data.space import Space
from vae_runner.data.sprites import FACTORS, ORIENTATIONS, SCALES, SHAPES, SIZES, Sprites, SpriteSplit, canvases, sprite
from vae_runner.errors import UserError


@pytest.fixture(scope="module")
def grid() -> SpriteSplit:
    """The whole grid of dSprites, in its order."""
    return SpriteSplit.of(torch.arange(math.prod(SIZES)))


def centre_of_mass(x: torch.Tensor) -> torch.Tensor:
    """(N, 1, H, W) -> (N, 2): row and column."""
    mass = (x[:, 0] > 0).double()
    place = torch.arange(mass.shape[-1], dtype=torch.float64)
    total = mass.sum((1, 2))
    return torch.stack([(mass.sum(2) @ place) / total, (mass.sum(1) @ place) / total], 1)


def at(grid: SpriteSplit, *factors) -> tuple[torch.Tensor, torch.Tensor]:
    """The images with every combination of the factors' classes, last fastest."""
    places = [sum(f * math.prod(SIZES[i + 1 :]) for i, f in enumerate(c)) for c in itertools.product(*factors)]
    return grid.take(torch.tensor(places))


def test_the_whole_grid_has_dsprites_count_and_its_factors_in_dsprites_order(grid):
    assert len(grid) == 737280
    indices = torch.randint(0, len(grid), (500,), generator=torch.Generator().manual_seed(0))
    x, y = grid.take(indices)
    assert x.shape == (500, 1, 64, 64)
    assert y.tolist() == torch.stack(torch.unravel_index(indices, SIZES), 1).tolist()


def test_the_values_of_the_factors_are_those_of_dsprites():
    assert SHAPES == ("square", "ellipse", "heart")
    assert torch.allclose(torch.tensor(SCALES), torch.linspace(0.5, 1, 6))
    assert torch.allclose(torch.tensor(ORIENTATIONS), torch.linspace(0, 2 * math.pi, 40))


def test_areas_grow_with_the_square_of_the_scale():
    area = (canvases() > 0).sum((1, 2)).double().view(3, 6, 40)
    ratio = area.mean(2) / area.mean(2)[:, -1:]
    assert torch.allclose(ratio, (torch.tensor(SCALES, dtype=torch.float64) ** 2).expand(3, 6), rtol=0.04)


@pytest.mark.parametrize(("shape", "area"), [("square", 21**2), ("ellipse", math.pi * 13.2 * 6.6)])
def test_areas_are_those_of_the_figures(shape, area):
    areas = [int(sprite(shape, 1, turn).sum()) for turn in ORIENTATIONS]
    assert sum(areas) / len(areas) == pytest.approx(area, rel=0.01)


def test_the_centre_of_mass_moves_one_pixel_with_each_position(grid):
    for shape in range(3):
        x, y = at(grid, [shape], [2], [7], range(32), [4])
        centres = centre_of_mass(x)
        assert torch.allclose(centres[:, 1] - centres[0, 1], y[:, 3].double())
        assert torch.allclose(centres[:, 0], centres[0, 0].expand(32))
        x, y = at(grid, [shape], [2], [7], [4], range(32))
        centres = centre_of_mass(x)
        assert torch.allclose(centres[:, 0] - centres[0, 0], y[:, 4].double())
        assert torch.allclose(centres[:, 1], centres[0, 1].expand(32))


def test_turning_and_scaling_leave_the_centre_of_mass_in_place(grid):
    x, _ = at(grid, range(3), range(6), range(40), [16], [16])
    assert (centre_of_mass(x) - 32).abs().max() < 0.6


def test_positions_lie_symmetrically_in_the_image(grid):
    x, _ = at(grid, [0], [5], [0], [0, 31], [0, 31])
    assert torch.equal(x[0], x[3].flip(1, 2))
    assert torch.equal(x[1], x[2].flip(1, 2))


def test_no_sprite_touches_the_border_of_the_image(grid):
    x, _ = at(grid, range(3), [5], range(40), [0, 31], [0, 31])
    assert int(x[:, :, [0, -1]].sum()) + int(x[:, :, :, [0, -1]].sum()) == 0


@pytest.mark.parametrize(("shape", "period"), [("square", 1 / 4), ("ellipse", 1 / 2), ("heart", 1)])
def test_a_shape_repeats_after_its_own_part_of_a_turn_and_not_before(shape, period):
    start = 0.3
    same = sprite(shape, 1, start)
    turned = [sprite(shape, 1, start + 2 * math.pi * period * part) for part in (1, 1 / 2, 1 / 3)]
    assert (same != turned[0]).sum() <= 2  # rounding at the edge
    assert all((same != other).sum() > 20 for other in turned[1:])


def test_a_turn_by_a_right_angle_is_clockwise():
    for shape in SHAPES:
        assert (sprite(shape, 1, math.pi / 2) != sprite(shape, 1, 0).rot90(-1)).sum() <= 2


def test_a_heart_stands_upright_and_is_symmetric():
    heart = sprite("heart", 1, 0)
    assert torch.equal(heart, heart.flip(1))
    rows = heart.any(1).nonzero().flatten()
    widths = heart[rows].sum(1)
    assert widths[-1] <= 3  # it ends in a tip, below
    assert widths.argmax() < len(rows) / 2


def test_shapes_and_orientations_have_no_order():
    space = Sprites(limit=50, validation=10, test=10).open().space
    assert [FACTORS[i] for i in space.categorical_factors] == ["shape", "orientation"]


def test_the_first_and_the_last_orientation_are_the_same_picture():
    pictures = canvases().view(3, 6, 40, -1)
    assert torch.equal(pictures[:, :, 0], pictures[:, :, 39])


def test_sprites_differ_unless_they_are_less_than_a_step_from_the_same_turn():
    pictures = canvases().view(3, 6, 40, -1)[:, :, :39]
    for shape, period in zip(range(3), (39 / 4, 39 / 2, 39), strict=True):
        for scale in range(6):
            _, kind = pictures[shape, scale].unique(dim=0, return_inverse=True)
            steps = torch.arange(39)
            apart = (steps[:, None] - steps).abs() % period
            apart = torch.minimum(apart, period - apart)
            assert apart[kind[:, None] == kind].max() < 1
    assert len(canvases()[2 * 6 * 40 :].flatten(1).unique(dim=0)) == 6 * 39  # hearts have no symmetry


def test_shapes_and_scales_are_never_mistaken_for_each_other():
    kinds: dict[bytes, set[int]] = {}
    for i, picture in enumerate(canvases()):
        kinds.setdefault(picture.numpy().tobytes(), set()).add(i // 40)
    assert all(len(kind) == 1 for kind in kinds.values())


def test_a_source_of_sprites_is_binary_images_with_five_factors():
    data = Sprites(limit=100, validation=20, test=30).open()
    assert data.space == Space((1, 64, 64), "binary", factors=5, categorical_factors=(0, 2))
    assert (len(data.train), len(data.validation), len(data.test)) == (100, 20, 30)
    assert data.factor_names == ["shape", "scale", "orientation", "position_x", "position_y"]
    batch = data.batch(data.train, torch.arange(100))
    assert set(batch.x.unique().tolist()) == {0.0, 1.0}
    assert batch.y.shape == (100, 5)


def test_a_part_of_the_grid_holds_every_combination_once_with_the_classes_of_the_whole_grid():
    source = Sprites(
        shapes=["heart", "square"],
        scales=[5, 0],
        orientations=[3],
        positions_x=[1, 30],
        positions_y=[8],
        test=0,
        validation=0,
    )
    data = source.open()
    _, y = data.train.take(torch.arange(len(data.train)))
    assert y.tolist() == [list(c) for c in itertools.product([0, 2], [0, 5], [3], [1, 30], [8])]


@pytest.mark.parametrize("values", [[], [40], [-1]])
def test_a_class_outside_the_grid_is_refused(values):
    with pytest.raises(UserError, match=r"data\.orientations=.*from 0 to 39"):
        Sprites(orientations=values)


def test_an_unknown_shape_is_refused():
    with pytest.raises(UserError, match="triangle is none of square, ellipse, heart"):
        Sprites(shapes=["triangle"])
