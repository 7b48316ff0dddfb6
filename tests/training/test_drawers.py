"""Pictures that are drawn in other processes, as they are of several runs on a GPU; steps are taken on the CPU here."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.ended import is_gone
from tests.helpers import QUICK, fit
from tests.training.test_resume import assert_equal, what_is_left
from vae_runner.training import drawers as drawing
from vae_runner.training import fitting, pictures
from vae_runner.training.beside import Beside
from vae_runner.training.drawers import drawers, drawn_by

REPOSITORY = Path(__file__).parents[2]
GPU = torch.device("cuda")  # none is touched
RUN = [*QUICK, "data.limit=300", "trainer.epochs=3", "trainer.validation_epochs=1"]


def slowly():
    time.sleep(0.2)
    return os.getpid()


def failing():
    raise OSError("no paper")


def test_without_drawers_it_is_drawn_here():
    assert drawn_by(os.getpid)() == os.getpid()


def test_with_drawers_it_is_drawn_in_other_processes_and_what_follows_is_done_here_in_order():
    seen = []
    with drawers(2), Beside(GPU) as beside:
        beside.draw(partial(time.sleep, 0.3), lambda _: seen.append("slow"))
        for _ in range(2):
            beside.draw(os.getpid, lambda pid: seen.append((pid, os.getpid())))
        beside.do(lambda: seen.append("done"))
    assert seen[0] == "slow"
    assert seen[-1] == "done"
    assert [here for _, here in seen[1:-1]] == 2 * [os.getpid()]
    assert os.getpid() not in {pid for pid, _ in seen[1:-1]}


def test_on_a_cpu_it_is_drawn_here_at_once():
    seen = []
    with drawers(1):
        Beside(torch.device("cpu")).draw(os.getpid, seen.append)
        assert seen == [os.getpid()]


def test_what_breaks_a_drawing_is_raised_by_the_next_call():
    with drawers(1):
        beside = Beside(GPU)
        beside.draw(failing, print)
        beside.settle()
        with pytest.raises(OSError, match="no paper"):
            beside.wait()


@pytest.mark.parametrize("killed", [0, 1])
def test_when_one_of_them_was_killed_all_is_drawn_here_and_the_other_ends(caplog, killed):
    with drawers(2):
        pids = list({wait() for wait in [drawn_by(slowly) for _ in range(4)]})
        os.kill(sorted(pids)[killed], signal.SIGKILL)
        waiting = [drawn_by(slowly) for _ in range(3)]
        others = {wait() for wait in waiting}
        while drawn_by(slowly)() != os.getpid():  # until it is seen
            pass
    assert len(pids) == 2
    assert others <= {*pids, os.getpid()}
    assert caplog.text.count("has ended") == 1
    assert all(map(has_ended, pids))


@pytest.mark.parametrize("of", [[], ["variant=vrae", "data=text", "likelihood=categorical"], ["variant=cvae"]])
def test_a_run_leaves_what_it_leaves_without(tmp_path, monkeypatch, figures_drawn, of):
    fit(tmp_path / "here", *RUN, *of)
    monkeypatch.setattr(fitting, "Beside", lambda device: Beside(GPU))
    for function in ("draw_seen", "draw_latents"):  # neither is called in this process
        monkeypatch.setattr(pictures, function, partial(_called, function, os.getpid()))
    with drawers(2):
        fit(tmp_path / "elsewhere", *RUN, *of)
    for one, other in zip(what_is_left(tmp_path / "elsewhere"), what_is_left(tmp_path / "here"), strict=True):
        assert_equal(one, other)


def _called(function, process, *args):
    from vae_runner.reporting import run_pictures

    assert os.getpid() != process
    return getattr(run_pictures, function)(*args)


SCRIPT = """
import os, signal, sys, time, torch
from functools import partial
from vae_runner.training.beside import Beside
from vae_runner.training.drawers import drawers, drawn_by

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts it beside something has it ignored
    with drawers(2), Beside(torch.device("cuda")) as beside:
        drawer = drawn_by(os.getpid)()
        beside.draw(partial(time.sleep, 1.0), lambda _: print("drawn", flush=True))
        try:
            print(drawer, flush=True)
            for _ in range(600):  # Python tells the main thread between two of its lines
                time.sleep(0.05)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
"""


def started(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, str(program)], env=environment, start_new_session=True, **pipes)
    return process, int(process.stdout.readline())


def ended(process):
    try:
        return process.communicate(timeout=30)
    finally:
        process.kill()


def has_ended(pid):
    return is_gone(lambda: os.kill(pid, 0))


def test_ctrl_c_at_a_terminal_leaves_them_to_draw_what_they_have(tmp_path):
    process, drawer = started(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    out, error = ended(process)
    assert (process.returncode, out.splitlines(), error) == (0, ["interrupted", "drawn"], "")
    assert has_ended(drawer)


def test_they_end_when_the_process_that_they_draw_for_is_killed(tmp_path):
    process, drawer = started(tmp_path)
    process.kill()
    ended(process)
    assert has_ended(drawer)


def test_where_none_can_be_started_it_is_drawn_here(monkeypatch):
    def full(*_):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(drawing.ProcessPoolExecutor, "submit", full)
    with drawers(1):
        assert drawn_by(os.getpid)() == os.getpid()
