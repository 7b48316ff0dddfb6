"""Messages and progress, on a terminal, in a pipe and in a file."""

import io
import logging
import re
import subprocess
import sys
import time

import pytest

from vae_runner.reporting import console as module
from vae_runner.reporting.console import Progress, console, console_logging, file_logging, logger, show
from vae_runner.reporting.tables import as_rich


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def terminal(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(module, "console", type(console)(file=screen, force_terminal=True, width=120, highlight=False))
    monkeypatch.setenv("TERM", "xterm")
    return screen


def test_messages_go_to_the_output_in_one_line_each(capsys):
    with console_logging():
        logger.info("[bold]" + "long " * 100)
        logger.warning("careful")
    assert capsys.readouterr().out == "[bold]" + "long " * 100 + "\nwarning: careful\n"


def test_both_set_ups_are_undone(tmp_path, capsys):
    before = (list(logger.handlers), logger.level, logger.propagate)
    with console_logging():
        for job in ("0", "1"):
            with file_logging(tmp_path / job):
                logger.info("job %s", job)
    assert (logger.handlers, logger.level, logger.propagate) == before
    assert [(tmp_path / job).read_text()[20:] for job in ("0", "1")] == ["INFO    job 0\n", "INFO    job 1\n"]
    assert capsys.readouterr().out == "job 0\njob 1\n"


def test_the_set_up_is_undone_by_an_exception(tmp_path):
    with pytest.raises(RuntimeError), file_logging(tmp_path / "log"):
        raise RuntimeError
    assert not any(isinstance(handler, logging.FileHandler) for handler in logger.handlers)


def test_a_log_is_appended_to(tmp_path):
    for message in ("first", "resumed"):
        with file_logging(tmp_path / "log"):
            logger.info(message)
    assert [line.split()[-1] for line in (tmp_path / "log").read_text().splitlines()] == ["first", "resumed"]


def test_a_piped_progress_prints_a_line_now_and_then(clock, capsys):
    with console_logging(), Progress(1000, steps_per_epoch=100, interval=10) as progress:
        for step in range(1, 1001):
            clock.now += 0.05
            progress.update(step, {"loss": 200 - step / 10} if step % 100 == 0 else None)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[1] == "epoch 4/10  step 400/1000  loss 160  20 steps/s  0:30 left"
    assert lines[-1] == "epoch 10/10  step 1000/1000  loss 100  20 steps/s"


def test_a_line_is_printed_where_it_is_asked_for(clock, capsys):
    with console_logging(), Progress(1000) as progress:
        clock.now += 1
        progress.update(1)
        progress.update(2, {"elbo": -3.25, "kl": None}, show=True)
    assert capsys.readouterr().out == "step 2/1000  elbo -3.25  2 steps/s  8:19 left\n"


def test_a_figure_that_became_undefined_is_dropped(clock):
    progress = Progress(10)
    progress.update(1, {"elbo": -1.0, "kl": 2.0})
    progress.update(2, {"elbo": None})
    assert progress.line() == "step 2/10  kl 2"


def test_the_rate_of_a_resumed_run_counts_its_own_steps(clock):
    progress = Progress(2000, start=1000, interval=1)
    clock.now = 10.0
    progress.update(1100)
    assert progress.rate == 10
    assert progress.line().endswith("1:30 left")


def test_the_rate_follows_a_machine_that_slows_down(clock):
    progress = Progress(10**6, interval=1)
    for step in range(1, 101):
        clock.now += 1 if step <= 50 else 10
        progress.update(step)
    assert progress.rate == pytest.approx(0.1)


def test_a_terminal_has_a_live_line_below_the_messages(clock, terminal, tmp_path):
    with console_logging(), file_logging(tmp_path / "log"), Progress(100, steps_per_epoch=10, interval=10) as progress:
        for step in range(1, 101):
            clock.now += 0.25
            progress.update(step, {"loss": float(step)})
        logger.info("done")
    shown = terminal.getvalue()
    assert shown.count("epoch 2/10  step 14/100") == 1
    assert "━" in shown
    assert "4 steps/s  0:22 left  loss 14" in shown
    assert "step 13/100" not in shown
    assert shown.index("done") < shown.rindex("step 100/100")
    # the file keeps the same plain lines as a piped run shows
    log = (tmp_path / "log").read_text().splitlines()
    lines = [line.split("  ")[3] for line in log if "done" not in line]
    assert lines == ["step 40/100", "step 80/100", "step 100/100"]


def test_a_step_without_news_costs_under_two_microseconds():
    progress = Progress(10**9)
    best = min(_seconds_per_update(progress, 20_000) for _ in range(5))
    assert best < 2e-6


def _seconds_per_update(progress, steps):
    start = time.perf_counter()
    for step in range(steps):
        progress.update(step)
    return (time.perf_counter() - start) / steps


def test_a_reader_who_leaves_does_not_end_the_run(tmp_path):
    program = (
        "from vae_runner.reporting.console import console_logging, logger\n"
        "with console_logging():\n"
        "    for i in range(1000): logger.info('line %d ' + 'x' * 200, i)\n"
        f"open({str(tmp_path / 'end')!r}, 'w').write('reached')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait() == 0
    assert errors == b""
    assert (tmp_path / "end").read_text() == "reached"


def test_a_piped_table_is_as_wide_as_it_needs(capsys):
    show(as_rich([{"run": "x" * 200, "elbo": 1.0}]))
    assert "x" * 200 in capsys.readouterr().out


def test_a_table_fits_the_terminal(terminal):
    show(as_rich([{"run": "x" * 200, "elbo": 1.0}]))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert max(map(len, lines)) <= 120
    assert sum(line.count("x") for line in lines) == 200
