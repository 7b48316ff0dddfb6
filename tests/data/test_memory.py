"""How much room there is for data."""

import torch

from vae_runner.data import memory


def test_the_room_is_a_share_of_what_the_machine_has():
    total = memory.os.sysconf("SC_PHYS_PAGES") * memory.os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory.room(torch.device("cpu")) <= memory.SHARE * total


def test_processes_of_one_training_share_the_room_of_their_machine(monkeypatch):
    monkeypatch.setattr(memory, "_available", lambda: iter([8000, 9000]))
    alone = memory.room(torch.device("cpu"))
    for name, value in {"RANK": 3, "LOCAL_RANK": 1, "WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    assert memory.room(torch.device("cpu")) == alone / 2


def test_a_control_group_leaves_what_it_has_not_taken_but_for_files(tmp_path):
    for name, content in (("max", "1000"), ("current", "700"), ("stat", "anon 500\nfile 200\n")):
        (tmp_path / f"memory.{name}").write_text(content)
    assert list(memory._left_to(tmp_path)) == [500]
    (tmp_path / "memory.max").write_text("max")
    assert list(memory._left_to(tmp_path)) == []
