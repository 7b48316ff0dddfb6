import json
import math
import multiprocessing
import time

import pytest

from vae_runner import run_directory
from vae_runner.errors import UserError
from vae_runner.run_directory import RunDirectory, read_json, write_bytes, write_json


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    write_bytes(path, b"first")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_directory.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes(path, b"second, and longer")
    assert path.read_bytes() == b"first"
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]


def test_numbers_that_json_has_no_word_for_are_null(tmp_path):
    write_json(tmp_path / "a.json", {"a": math.nan, "b": [math.inf, 1.5], "c": None})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": None, "b": [None, 1.5], "c": None}


def test_a_broken_json_file_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match=r"a\.json: not readable as JSON"):
        read_json(tmp_path / "a.json")


def hold(path, locked):
    directory = RunDirectory(path)  # the lock lasts as long as the object
    directory.lock()
    locked.set()
    time.sleep(60)


@pytest.fixture
def another_process(tmp_path):
    context = multiprocessing.get_context("fork")
    locked = context.Event()
    process = context.Process(target=hold, args=(tmp_path, locked))
    process.start()
    assert locked.wait(20)
    yield process
    process.kill()
    process.join()


def test_two_processes_never_hold_one_run(tmp_path, another_process):
    with pytest.raises(UserError, match="another process is writing this run"):
        RunDirectory(tmp_path).lock()


def test_a_run_is_running_while_its_process_lives_and_killed_afterwards(tmp_path, another_process):
    directory = RunDirectory(tmp_path)
    directory.update_status(state="running")
    assert directory.state() == "running"
    another_process.kill()
    another_process.join()
    assert directory.state() == "killed"
    directory.lock()
    directory.unlock()


def test_a_status_outlives_a_change_of_another_key(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.update_status(state="running", device="cpu")
    directory.update_status(state="completed")
    assert directory.status() == {"state": "completed", "device": "cpu"}
    assert directory.state() == "completed"


def test_a_directory_without_a_run_says_what_it_is(tmp_path):
    with pytest.raises(UserError, match="no such directory"):
        RunDirectory(tmp_path / "none").require()
    with pytest.raises(UserError, match=r"it has no config\.yaml"):
        RunDirectory(tmp_path).require()
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "config.yaml").write_text("seed: 0")
    with pytest.raises(UserError, match="it holds runs, such as"):
        RunDirectory(tmp_path).require()
