"""A batch that is read from both ends is right, however the two that read it take turns."""

import random
import threading
import time
from dataclasses import dataclass

import pytest
import torch

from vae_runner.data.slots import Slots

SHAPE = (2, 3)


@dataclass
class Numbers:
    """Row i is six times the number i."""

    apart: bool = True
    shape = SHAPE
    dtype = torch.int64

    def read(self, indices):
        return indices.view(-1, 1, 1).expand(-1, *SHAPE)


def slow(read, most):
    """With pauses, of which half are none."""

    def paused(indices):
        time.sleep(max(random.uniform(-most, most), 0))
        return read(indices)

    return paused


def taken(slots, batch, indices):
    """What is taken, and leaves a slot in which a row that is left out would show."""
    x = slots.taken(batch, len(indices))
    slots.x[batch % slots.number].fill_(-1)
    return x


@pytest.mark.parametrize(("front", "back"), [(0, 0), (1e-4, 1e-4), (1e-3, 0), (0, 1e-3)])
def test_no_row_is_left_out_nor_of_another_batch_whoever_is_faster(front, back):
    rows, generator = Numbers(), torch.Generator().manual_seed(0)
    slots = Slots(3, 40, rows)
    for batch in range(100):
        indices = torch.randint(1000, (int(torch.randint(1, 41, (), generator=generator)),), generator=generator)
        slots.begin(batch, len(indices))
        reader = threading.Thread(target=slots.read_from_front, args=(batch, indices, slow(rows.read, front)))
        reader.start()
        slots.read_from_back(batch, indices, slow(rows.read, back))
        reader.join()
        assert torch.equal(taken(slots, batch, indices), rows.read(indices))


@pytest.mark.parametrize("apart", [True, False])
def test_one_reads_all_where_the_other_does_not_come(apart):
    rows, indices = Numbers(apart), torch.arange(37)
    slots = Slots(2, 40, rows)
    for batch, read in enumerate((slots.read_from_front, slots.read_from_back)):
        slots.begin(batch, len(indices))
        read(batch, indices, rows.read)
        assert torch.equal(taken(slots, batch, indices), rows.read(indices))


def test_nothing_is_read_again_that_the_other_has_read():
    rows, indices = Numbers(), torch.arange(40)
    slots = Slots(1, 40, rows)
    slots.begin(0, len(indices))
    slots.read_from_front(0, indices, rows.read)
    slots.read_from_back(0, indices, lambda _: pytest.fail("read again"))


def test_there_is_room_for_batches_as_large_as_the_first():
    slots = Slots(1, 40, Numbers())
    assert slots.has_room_for(torch.arange(40))
    assert not slots.has_room_for(torch.arange(41))
