"""How much room there is for data."""

import torch

from vae_runner.data import memory


def test_the_room_is_a_share_of_what_the_machine_has():
    total = memory.os.sysconf("SC_PHYS_PAGES") * memory.os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory.room(torch.device("cpu")) <= memory.SHARE * total


def test_what_is_behind_a_name_is_found(tmp_path):
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:  100 kB\nMemAvailable:   60 kB\n")
    assert memory._named(file, "MemAvailable:") == 60
