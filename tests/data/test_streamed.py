"""Examples on disk are those that would be in memory, however they are taken."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vae_runner import forked
from vae_runner.data import ahead, streamable, streamed
from vae_runner.data.arrays import Arrays
from vae_runner.data.images import Images
from vae_runner.data.splits import TensorSplit
from vae_runner.data.streamed import StreamedSplit
from vae_runner.errors import DataLost, UserError


def pictures(root: Path, each: int = 30, side: int = 12) -> Path:
    """Noise in two class folders, as PNG and JPEG."""
    random = np.random.default_rng(0)
    for folder, ending in (("cat", "png"), ("dog", "jpg")):
        (root / folder).mkdir(parents=True)
        for i in range(each):
            pixels = random.integers(0, 256, (side, side, 3), np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{i}.{ending}")
    return root


def opened(source, path, **settings):
    """The data in memory, and the data on disk."""
    in_memory = source(path=str(path), in_memory=True, **settings).open()
    on_disk = source(path=str(path), in_memory=False, **{"workers": 0, **settings}).open()
    assert isinstance(in_memory.train, TensorSplit)
    assert isinstance(on_disk.train, StreamedSplit)
    return in_memory, on_disk


def assert_same(in_memory, on_disk):
    assert on_disk.space == in_memory.space
    for split in ("train", "validation", "test"):
        one, other = getattr(in_memory, split), getattr(on_disk, split)
        assert len(one) == len(other)
        indices = torch.randperm(len(one), generator=torch.Generator().manual_seed(0))
        blocks = zip(in_memory.batches(one, indices.split(7)), on_disk.batches(other, indices.split(7)), strict=True)
        for a, b in blocks:
            for part in ("x", "input", "y", "c"):
                x, y = getattr(a, part), getattr(b, part)
                assert (x is None and y is None) or (x.dtype == y.dtype and torch.equal(x, y)), part


@pytest.mark.parametrize("workers", [0, 2])
def test_images_on_disk_are_those_in_memory(tmp_path, workers):
    assert_same(*opened(Images, pictures(tmp_path), workers=workers))


def test_the_process_that_waits_for_images_reads_along(tmp_path, monkeypatch):
    _, on_disk = opened(Images, pictures(tmp_path), workers=1)
    read, rows = type(on_disk.train.x).read, 0

    def counted(self, indices):  # in this process, not in those beside it
        nonlocal rows
        rows += len(indices)
        return read(self, indices)

    monkeypatch.setattr(type(on_disk.train.x), "read", counted)
    for _ in on_disk.batches(on_disk.train, torch.arange(40).repeat(20).split(40)):
        pass
    assert 0 < rows < 800


def test_images_in_a_zip_are_read_ahead_too(tmp_path):
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for file in pictures(tmp_path / "pictures").rglob("*.*"):
            archive.write(file, file.relative_to(tmp_path))
    assert_same(*opened(Images, tmp_path / "pictures.zip", workers=1))


def test_conditions_in_files_come_with_their_images(tmp_path):
    pictures(tmp_path / "x"), pictures(tmp_path / "c", side=6)
    assert_same(*opened(Images, tmp_path / "x", c=str(tmp_path / "c")))


def test_labels_are_hidden_in_the_same_examples(tmp_path):
    in_memory, on_disk = opened(Images, pictures(tmp_path), labels=6)
    assert int((on_disk.train.y >= 0).sum()) == 6
    assert_same(in_memory, on_disk)


def test_black_and_white_images_are_known_as_such(tmp_path):
    for i in range(100):  # grey is only the last
        Image.new("L", (4, 4), 255 * (i % 2)).save(tmp_path / f"{i:03}.png")
    assert_same(*opened(Images, tmp_path, channels=1, validation=0, test=0))
    Image.new("L", (4, 4), 100).save(tmp_path / "100.png")
    in_memory, on_disk = opened(Images, tmp_path, channels=1, validation=0, test=0)
    assert on_disk.space.support == "unit"
    assert_same(in_memory, on_disk)


def test_unreadable_images_are_left_out_before_anything_is_taken(tmp_path, caplog):
    (pictures(tmp_path) / "cat" / "3.png").write_bytes(b"broken")
    assert_same(*opened(Images, tmp_path, skip_unreadable=True))
    assert caplog.text.count("skipped 1 unreadable image: cat/3.png") == 2


def test_all_are_read_from_disk_that_memory_has_no_room_for(tmp_path, monkeypatch):
    pictures(tmp_path)
    size = 60 * 3 * 12 * 12
    for bytes_, kind in ((size, TensorSplit), (size - 1, StreamedSplit)):
        monkeypatch.setattr(streamable, "room", lambda device, bytes_=bytes_: bytes_)
        assert isinstance(Images(path=str(tmp_path)).open().train, kind)
        # what is not wanted takes no room
        assert isinstance(Images(path=str(tmp_path), limit=10).open().train, TensorSplit)


ARRAYS = {
    "colour": np.random.default_rng(0).integers(0, 256, (50, 6, 5, 3), np.uint8),
    "grey": np.random.default_rng(0).integers(0, 256, (50, 6, 5), np.uint8),
    "black and white": np.random.default_rng(0).integers(0, 2, (50, 6, 5), np.uint8),
    "vectors": np.random.default_rng(0).normal(3, 2, (50, 4)),
    "columns first": np.asfortranarray(np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)),
    "other byte order": np.random.default_rng(0).integers(0, 9, (50, 4)).astype(">i4"),
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("scale", ["none", "unit", "standardize"])
def test_arrays_on_disk_are_those_in_memory(tmp_path, kind, scale):
    np.save(tmp_path / "x.npy", ARRAYS[kind])
    assert_same(*opened(Arrays, tmp_path / "x.npy", scale=scale))


@pytest.mark.parametrize(
    ("dtype", "scale", "bytes_"),
    [
        ("float32", "none", 4),
        ("float64", "none", 12),
        ("float32", "unit", 12),
        ("int16", "none", 6),
        ("uint8", "none", 1),
    ],
)
@pytest.mark.parametrize("ending", ["npy", "pt"])
def test_memory_has_room_for_arrays_as_they_are_read_too(tmp_path, monkeypatch, dtype, scale, bytes_, ending):
    x = np.random.default_rng(0).integers(0, 256, (50, 4)).astype(dtype)
    path = tmp_path / f"x.{ending}"
    np.save(path, x) if ending == "npy" else torch.save(torch.from_numpy(x), path)
    for room, kind in ((bytes_ * x.size, TensorSplit), (bytes_ * x.size - 1, StreamedSplit)):
        monkeypatch.setattr(streamable, "room", lambda device, room=room: room)
        assert isinstance(Arrays(path=str(path), scale=scale, workers=0).open().train, kind)


@pytest.mark.parametrize("workers", [0, 1])
def test_tensors_on_disk_bring_labels_conditions_and_splits_along(tmp_path, workers):
    random = torch.Generator().manual_seed(0)
    content = {}
    for split, n in (("train", 40), ("test", 10)):
        content[f"x_{split}"] = torch.rand(n, 3, 4, 4, generator=random)
        content[f"y_{split}"] = torch.arange(n) % 4
        content[f"c_{split}"] = torch.rand(n, 1, 4, 4, generator=random, dtype=torch.float64)
    torch.save(content, tmp_path / "data.pt")
    assert_same(*opened(Arrays, tmp_path / "data.pt", c="c", workers=workers))


def test_numbers_as_conditions_stay_in_memory(tmp_path):
    torch.save({"x": torch.rand(40, 3), "c": torch.rand(40, 2)}, tmp_path / "data.pt")
    in_memory, on_disk = opened(Arrays, tmp_path / "data.pt", c="c")
    assert isinstance(on_disk.train.c, torch.Tensor)
    assert_same(in_memory, on_disk)


def test_nan_is_found_wherever_it_lies(tmp_path, monkeypatch):
    monkeypatch.setattr(streamed, "BLOCK", 8)
    x = np.zeros((50, 3), np.float32)
    x[37, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(UserError, match="NaN in training example 37"):
        Arrays(path=str(tmp_path / "x.npy"), in_memory=False, workers=0).open()


@pytest.mark.parametrize("ending", ["npz", "csv"])
def test_files_that_cannot_be_mapped_are_refused_with_what_to_do(tmp_path, ending):
    path = tmp_path / f"data.{ending}"
    np.savez(path, x=np.zeros((9, 3))) if ending == "npz" else np.savetxt(path, np.zeros((9, 3)), delimiter=",")
    with pytest.raises(UserError, match=r"data\.in_memory=false: .* can only be read as a whole; save the array"):
        Arrays(path=str(path), in_memory=False).open()
    assert isinstance(Arrays(path=str(path)).open().train, TensorSplit)


def test_what_is_wrong_with_a_file_is_said_as_ever(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"truncated, corrupt or not a \.npy of numbers"):
        Arrays(path=str(tmp_path / "x.npy"), in_memory=False).open()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (Path.unlink, "No such file or directory"),
        (lambda file: file.write_bytes(b""), "not a readable image (no known image format); mend it, or leave"),
        (lambda file: Image.new("RGB", (9, 9)).save(file), "is 9x9 and other images are not: set data.size="),
    ],
    ids=["gone", "empty", "another size"],
)
def test_an_image_that_is_lost_later_is_named_in_one_line(tmp_path, workers, harm, said):
    data = Images(path=str(pictures(tmp_path)), in_memory=False, workers=workers, validation=0, test=0).open()
    harm(tmp_path / "dog" / "7.jpg")
    with pytest.raises(DataLost) as error:
        for _ in data.batches(data.train, torch.arange(60).split(10)):
            pass
    assert str(tmp_path / "dog" / "7.jpg") in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_array_that_is_cut_off_later_is_named_in_one_line(tmp_path):
    file = tmp_path / "x.npy"
    np.save(file, np.zeros((1000, 40)))
    data = Arrays(path=str(file), in_memory=False, workers=0).open()
    os.truncate(file, 5000)
    with pytest.raises(DataLost, match=f"{file}: .*file") as error:
        data.batch(data.train, torch.arange(3))
    assert "\n" not in str(error.value)


def test_reading_ahead_leaves_the_random_state_alone(tmp_path):
    data = Images(path=str(pictures(tmp_path)), in_memory=False, workers=1).open()
    before = torch.get_rng_state()
    for _ in data.batches(data.train, torch.arange(40).split(10)):
        assert torch.equal(torch.get_rng_state(), before)


def test_examples_in_memory_are_refused_where_there_is_no_room(tmp_path, monkeypatch):
    data = Images(path=str(pictures(tmp_path)), in_memory=False, workers=0).open()
    some = data.train.subset(torch.arange(10))
    assert torch.equal(some.read().x, data.train.take(torch.arange(10))[0])
    monkeypatch.setattr(streamed, "room", lambda device: 10)
    with pytest.raises(UserError, match="10 examples of shape"):
        some.read()


READS_FOR_EVER = """
import sys, itertools, torch
from vae_runner.data.images import Images
if __name__ == "__main__":
    data = Images(path=sys.argv[1], in_memory=False, workers=2).open()
    for _ in data.batches(data.train, itertools.repeat(torch.arange(8))):
        print("read", flush=True)
"""


def children(process: int) -> list[int]:
    """Processes that descend from that one."""
    found, parents = [process], {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found[1:]


def is_running(process: int) -> bool:
    try:
        return (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_the_processes_that_read_ahead_end_when_theirs_is_killed(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(READS_FOR_EVER)
    with subprocess.Popen(
        [sys.executable, str(program), str(pictures(tmp_path / "pictures"))], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        readers = children(process.pid)
        assert len(readers) >= 3  # the server and two readers
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(is_running(reader) for reader in readers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_process_that_reads_ahead_and_is_killed_is_told_of_and_leaves_no_other(tmp_path):
    data = Images(path=str(pictures(tmp_path)), in_memory=False, workers=2).open()
    others = {*multiprocessing.active_children()}
    batches = data.batches(data.train, itertools.repeat(torch.arange(8)))
    next(batches)
    readers = {*multiprocessing.active_children()} - others
    assert len(readers) == 2
    for reader in [*readers][:1]:
        assert reader.pid is not None
        os.kill(reader.pid, signal.SIGKILL)
    with pytest.raises(DataLost, match=r"a process that reads ahead was killed, .*; data\.workers=0 has none"):
        for _ in batches:
            pass
    for reader in readers:
        reader.join(20)
        assert not reader.is_alive()


def test_a_process_that_was_killed_before_it_was_seen_is_told_of():
    def stored():
        yield None
        raise RuntimeError("DataLoader worker (pid(s) 1) exited unexpectedly")

    coming = stored()
    assert ahead._next_of(coming, [], 2) is None
    with pytest.raises(DataLost, match="was killed"):
        ahead._next_of(coming, [], 2)


def test_more_processes_than_cores_are_started_without_a_word(tmp_path):
    data = Images(path=str(pictures(tmp_path)), in_memory=False, workers=forked.cores() + 1).open()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len([*data.batches(data.train, torch.arange(8).split(4))]) == 2


SIGNALS_BLOCKED = """
import signal
from multiprocessing import resource_tracker
from vae_runner import forked
with forked.left_alone():
    resource_tracker.ensure_running()  # as the first process beside this one does
    print(forked.SIGNALS <= signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_ctrl_c_leaves_alone_the_first_process_that_is_started_too():
    done = subprocess.run([sys.executable, "-c", SIGNALS_BLOCKED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


HELD = """
import sys, torch
from vae_runner.data.images import Images
if __name__ == "__main__":
    data = Images(path=sys.argv[1], in_memory=False, workers=1).open()
    held = data.batches(data.train, torch.arange(8).repeat(100).split(8))
    next(held)
    raise RuntimeError("while a batch was in use")
"""


def test_a_script_that_breaks_while_a_batch_is_in_use_ends(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(HELD)
    command = [sys.executable, str(program), str(pictures(tmp_path / "pictures"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == "RuntimeError: while a batch was in use"


def test_training_leaves_a_core_to_each_process_that_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(forked, "cores", lambda: 4)
    before = torch.get_num_threads()
    np.save(tmp_path / "x.npy", np.zeros((6, 3), np.float32))
    torch.set_num_threads(4)
    try:
        split = opened(Arrays, tmp_path / "x.npy", workers=1)[1].train
        batches = split.ahead(torch.arange(len(split)).split(2))
        next(batches)
        assert torch.get_num_threads() == 3
        batches.close()
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


def test_blocks_may_be_longer_than_the_first_and_are_not_changed_by_later_ones(tmp_path):
    values = torch.arange(60, dtype=torch.float32).view(20, 3)
    np.save(tmp_path / "x.npy", values.numpy())
    split = opened(Arrays, tmp_path / "x.npy", workers=1)[1].train
    everything = torch.arange(len(split))
    blocks = [everything[:2], everything[2:9], everything[9:10], *everything[10:].split(2)]
    taken = [x for x, _, _ in split.ahead(blocks)]  # kept while the others are read
    for x, indices in zip(taken, blocks, strict=True):
        assert torch.equal(x, split.take(indices)[0])
    assert [*split.ahead([])] == []


def test_processes_that_train_together_share_the_cores_for_reading(monkeypatch):
    monkeypatch.setattr(streamable, "cores", lambda: 16)
    assert Images(path="x").workers == 8
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "4"), ("LOCAL_WORLD_SIZE", "4")):
        monkeypatch.setenv(name, value)
    assert Images(path="x").workers == 3
