"""What was imported is not searched for garbage."""

import gc

from vae_runner.cli import main
from vae_runner.commands.garbage import imports_stay


def test_what_is_there_once_stays_and_what_comes_later_is_searched():
    imports_stay.cache_clear()
    before, there = gc.get_freeze_count(), [[] for _ in range(1000)]
    imports_stay()
    assert gc.get_freeze_count() >= before + len(there)
    before, later = gc.get_freeze_count(), [[] for _ in range(1000)]
    imports_stay()
    assert gc.get_freeze_count() <= before
    assert any(found is later for found in gc.get_objects())


def test_a_run_and_the_jobs_of_a_sweep_do_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments in ([], ["-m", "seed=0"]):
        imports_stay.cache_clear()
        assert main(["train", "trainer=debug", "architecture.width=8", *arguments]) == 0
        assert imports_stay.cache_info().misses == 1
