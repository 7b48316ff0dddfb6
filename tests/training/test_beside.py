"""Work beside the steps, in its thread, as a GPU has it; steps are taken on the CPU here."""

import errno
import os
import signal
import threading
import time

import pytest
import torch

from tests.helpers import QUICK, config_of, fit
from tests.training.test_fitting import poison
from tests.training.test_resume import Stopped, assert_equal, stop_at, what_is_left
from vae_runner.build import build_experiment, build_trainer
from vae_runner.reporting import run_pictures
from vae_runner.run_directory import RunDirectory
from vae_runner.signals import Interrupted
from vae_runner.training import checkpoint, fitting, pictures
from vae_runner.training.beside import MOST, Beside
from vae_runner.training.nonfinite import NonFinite

GPU = torch.device("cuda")  # none is touched
RUN = [*QUICK, "data.limit=300", "trainer.epochs=4", "trainer.validation_epochs=1", "trainer.ema=0.9"]


@pytest.fixture
def in_thread(monkeypatch):
    """Runs draw and write beside their steps."""
    monkeypatch.setattr(fitting, "Beside", lambda device: Beside(GPU))


@pytest.fixture
def held():
    """Where work waits until the test lets go."""
    event = threading.Event()
    yield event
    event.set()


def test_on_a_cpu_work_is_done_at_once():
    seen = []
    Beside(torch.device("cpu")).do(lambda: seen.append(threading.current_thread()))
    assert seen == [threading.current_thread()]


def test_on_a_gpu_it_is_done_in_another_thread_in_order(held):
    work, seen = Beside(GPU), []
    work.do(held.wait)
    for number in range(MOST - 1):
        work.do(lambda number=number: seen.append((number, threading.current_thread())))
    assert not seen
    held.set()
    work.wait()
    assert [number for number, _ in seen] == [*range(MOST - 1)]
    assert threading.current_thread() not in {thread for _, thread in seen}


def test_no_more_than_a_few_pieces_of_work_wait(held):
    work, seen = Beside(GPU), []
    work.do(held.wait)
    for number in range(MOST - 1):
        work.do(lambda number=number: seen.append(number))
    more = threading.Thread(target=lambda: work.do(lambda: seen.append(MOST)))
    more.start()
    more.join(0.2)
    assert more.is_alive(), "it should wait for the first to be done"
    held.set()
    more.join()
    work.wait()
    assert seen == [*range(MOST - 1), MOST]


def test_two_runs_of_a_process_draw_in_one_thread():
    seen = []
    for work in (Beside(GPU), Beside(GPU)):
        work.do(lambda: seen.append(threading.get_ident()))
        work.wait()
    assert len(set(seen)) == 1


def broken():
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_breaks_work_is_raised_by_the_next_call():
    for call in (lambda work: work.wait(), lambda work: work.do(print), lambda work: work.__exit__(None)):
        work = Beside(GPU)
        work.do(broken)
        work.settle()
        with pytest.raises(OSError, match="No space left"):
            call(work)


def test_after_work_that_breaks_no_other_is_done(held):
    work, seen = Beside(GPU), []
    work.do(held.wait)
    work.do(broken)
    work.do(lambda: seen.append("done"))
    held.set()
    with pytest.raises(OSError, match="No space left"):
        work.wait()
    assert not seen


def ended_by(error, work, *pieces):
    with work:
        for piece in pieces:
            work.do(piece)
        raise error


def test_a_run_that_is_stopped_says_what_broke_its_work():
    with pytest.raises(OSError, match="No space left"):
        ended_by(Interrupted("SIGTERM"), Beside(GPU), broken)


def test_what_ends_a_run_is_raised_and_what_breaks_its_work_logged(caplog):
    with pytest.raises(NonFinite):
        ended_by(NonFinite("a step is not finite"), Beside(GPU), broken)
    assert "No space left" in caplog.text


def test_what_an_error_ends_is_written_before():
    seen = []
    with pytest.raises(NonFinite):
        ended_by(
            NonFinite("a step is not finite"), Beside(GPU), lambda: time.sleep(0.1), lambda: seen.append("written")
        )
    assert seen == ["written"]


def test_at_a_second_ctrl_c_what_has_begun_is_waited_for_and_nothing_else_begins():
    seen, begun = [], threading.Event()

    def slow():
        begun.set()
        time.sleep(0.3)
        seen.append("slow")

    work = Beside(GPU)
    work.do(slow)
    begun.wait()
    with pytest.raises(KeyboardInterrupt):
        ended_by(KeyboardInterrupt(), work, lambda: seen.append("queued"))
    assert seen == ["slow"]


def test_so_it_is_where_it_comes_while_work_is_waited_for():
    seen = []
    work = Beside(GPU)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # where Python began with it ignored it has none
    work.do(lambda: time.sleep(0.5) or seen.append("slow"))
    work.do(lambda: seen.append("queued"))
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        with pytest.raises(KeyboardInterrupt), work:
            pass
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ["slow"]


TEXT = ["variant=vrae", "data=text", "likelihood=categorical"]


@pytest.mark.parametrize("of", [[], TEXT, ["variant=cvae"]], ids=["vae", "text", "cvae"])
def test_a_run_leaves_what_it_leaves_without(tmp_path, monkeypatch, of):
    fit(tmp_path / "at once", *RUN, *of)
    monkeypatch.setattr(fitting, "Beside", lambda device: Beside(GPU))
    threads = set()
    drawn = run_pictures.png
    monkeypatch.setattr(run_pictures, "png", lambda image: threads.add(threading.current_thread()) or drawn(image))
    fit(tmp_path / "beside", *RUN, *of)
    assert threads
    assert threading.current_thread() not in threads
    for one, other in zip(what_is_left(tmp_path / "beside"), what_is_left(tmp_path / "at once"), strict=True):
        assert_equal(one, other)


def test_what_is_kept_of_a_step_is_of_that_step(tmp_path, monkeypatch, in_thread, held):
    """Steps that are taken while the weights wait to be written change nothing of them."""
    waited = threading.Event()
    saved = checkpoint.save

    def late(path, state):
        if state["step"] == 5 and not waited.is_set():
            waited.set()
            held.wait(20)
        saved(path, state)

    stop_at(monkeypatch, 9)
    monkeypatch.setattr(checkpoint, "save", late)
    threading.Timer(1.0, held.set).start()  # by when the run has stopped
    states = []
    for name in ("late", "now"):
        with pytest.raises(Stopped):
            fit(tmp_path / name, *RUN, "trainer.checkpoint_steps=5", "trainer.validation_steps=100")
        states.append(checkpoint.load(RunDirectory(tmp_path / name).last))
        del states[-1]["seconds"]
    assert waited.is_set()
    assert states[0]["step"] == 5
    assert_equal(*states)


def test_a_checkpoint_is_written_after_the_pictures_of_its_step(tmp_path, in_thread, monkeypatch):
    """A run that goes on from it does not draw them again."""
    order = []
    write, save = pictures.write_bytes, checkpoint.save
    monkeypatch.setattr(pictures, "write_bytes", lambda path, data: order.append(path.parent.name) or write(path, data))
    monkeypatch.setattr(checkpoint, "save", lambda path, state: order.append(path.name) or save(path, state))
    fit(tmp_path, *RUN, "trainer.epochs=1")
    drawn = [order.index(name) for name in ("reconstructions", "samples", "traversals")]
    assert max(drawn) < order.index("last.pt")


def test_where_a_picture_cannot_be_drawn_the_checkpoint_after_it_is_not_written(tmp_path, monkeypatch, in_thread):
    """A run that goes on draws it then."""
    draw = run_pictures.draw_traversals

    def failing(space, traversals, about, limits):
        if about == "epoch 2":
            raise RuntimeError("no paper")
        return draw(space, traversals, about=about, limits=limits)

    monkeypatch.setattr(run_pictures, "draw_traversals", failing)
    with pytest.raises(RuntimeError, match="no paper"):
        fit(tmp_path, *RUN)
    run = RunDirectory(tmp_path)
    steps = checkpoint.load(run.last)["step"]
    monkeypatch.undo()
    fit(tmp_path, *RUN, resume=True)
    assert len([*(run.images / "traversals").glob("*.png")]) == 4
    assert checkpoint.load(run.last)["step"] == 4 * steps


def test_a_run_that_is_killed_while_it_draws_goes_on(tmp_path, monkeypatch, in_thread):
    """It waits for the first checkpoint: where the log goes on without one, that is taken for lost."""
    run = [*RUN, "trainer.validation_epochs=null", "trainer.validation_steps=5", "trainer.log_steps=1"]
    png = run_pictures.png
    monkeypatch.setattr(run_pictures, "png", lambda image: time.sleep(0.2) or png(image))
    stop_at(monkeypatch, 8)
    monkeypatch.setattr(Beside, "__exit__", lambda self, *error: self._break_off())
    with pytest.raises(Stopped):
        fit(tmp_path, *run)
    monkeypatch.undo()
    config = config_of(*run)
    build_trainer(config).require_resumable(build_experiment(config), RunDirectory(tmp_path))
    assert fit(tmp_path, *run, resume=True)["steps"] > 8


def test_one_copy_of_the_state_waits_at_a_time(tmp_path, monkeypatch, in_thread):
    kept, save, waiting, most = checkpoint.kept, checkpoint.save, [], []

    def noted(state):
        waiting.append(state["step"])
        most.append(len(waiting))
        return kept(state)

    def slow(path, state):
        time.sleep(0.05)
        save(path, state)
        waiting.remove(state["step"])

    monkeypatch.setattr(checkpoint, "kept", noted)
    monkeypatch.setattr(checkpoint, "save", slow)
    fit(tmp_path, *RUN, "trainer.checkpoint_steps=1")
    assert most
    assert max(most) == 1


def test_a_run_that_breaks_down_names_the_checkpoint_that_was_being_written(tmp_path, monkeypatch, in_thread):
    saved = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda path, state: time.sleep(0.5) or saved(path, state))
    poison(monkeypatch, at=5)
    with pytest.raises(NonFinite, match=r"the last good checkpoint is .*last\.pt"):
        fit(tmp_path, *RUN, "trainer.checkpoint_steps=5")


def test_a_full_disk_ends_the_run(tmp_path, monkeypatch, in_thread):
    sync = os.fsync

    def full(descriptor):
        if "last.pt" in os.readlink(f"/proc/self/fd/{descriptor}"):
            broken()
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fit(tmp_path, *RUN)
    assert not RunDirectory(tmp_path).summary()
    assert not [*(tmp_path / "checkpoints").glob("*last*")]
