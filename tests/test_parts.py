"""Parts of a batch tile it, and noise is the same however it is divided."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vae_runner import noise, parts


def alone(tensor: Tensor) -> None:
    raise AssertionError("nothing has to be told to other processes here")


def divided(whole: int, processes: int) -> list[parts.Part | None]:
    return [parts.Part.of(whole, rank, processes, alone) for rank in range(processes)]


@pytest.mark.parametrize(("whole", "processes"), [(64, 2), (63, 2), (7, 3), (4, 4)])
def test_the_parts_of_a_batch_are_contiguous_and_differ_by_one_example_at_most(whole, processes):
    taken = divided(whole, processes)
    assert torch.cat([torch.arange(part.first, part.first + part.size) for part in taken]).equal(torch.arange(whole))
    sizes = [part.size for part in taken]
    assert max(sizes) - min(sizes) <= 1
    assert sum(part.share for part in taken) == pytest.approx(1)


def test_a_batch_of_fewer_examples_than_processes_is_not_divided():
    assert divided(2, 3) == [None, None, None]


def test_a_process_by_itself_is_handed_back_what_it_gives():
    x = torch.rand(5, 3)
    for function in (parts.total, parts.average, parts.gathered, parts.own):
        assert function(x) is x
    assert parts.whole_shape((5, 3)) == (5, 3)


def kept(draw: Callable[[int], Tensor], whole: int, processes: int) -> list[Tensor]:
    """What each process keeps, which draws for as many examples as it has."""
    found = []
    for part in divided(whole, processes):
        torch.manual_seed(0)
        with parts.computing(part):
            found.append(draw(part.size))
    return found


@pytest.mark.parametrize(
    ("draw", "dimension"),
    [
        (lambda n: noise.normal((n, 3)), 0),
        (lambda n: noise.normal((4, n, 3), 1), 1),
        (lambda n: noise.uniform_like(torch.zeros(n, 2)), 0),
        (lambda n: noise.exponential(torch.ones(1), (n,)), 0),
        (lambda n: noise.integers(10, (n, 2)), 0),
        (lambda n: noise.Dropout(0.5)(torch.ones(n, 6)), 0),
        (lambda n: noise.Dropout(0.5)(torch.ones(5, n, 6).transpose(0, 1)), 0),
        (lambda n: noise.Dropout2d(0.5)(torch.ones(n, 6, 2, 2)), 0),
    ],
)
def test_the_noise_of_all_parts_is_that_of_the_whole_batch(draw, dimension):
    torch.manual_seed(0)
    whole = draw(7)
    assert torch.cat(kept(draw, 7, 3), dimension).equal(whole)


def test_copies_of_a_batch_in_a_row_are_divided_copy_by_copy():
    torch.manual_seed(0)
    whole = torch.randn(2 * 7, 3)
    found = kept(lambda n: noise.normal((2 * n, 3)), 7, 3)
    assert torch.cat([rows.unflatten(0, (2, -1)) for rows in found], 1).flatten(0, 1).equal(whole)


def test_what_every_process_has_in_full_is_not_divided():
    (part, *_) = divided(6, 2)
    with parts.computing(part), parts.computing(None):
        assert noise.normal((5, 2)).shape == (5, 2)
    assert parts.current() is None
