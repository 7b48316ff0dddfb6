"""Progress of loops, on a terminal and elsewhere."""

import io

import pytest

from vae_runner.reporting import console as module
from vae_runner.reporting.progress import _bars, progress, watched

ERASED = "\x1b[2K"


@pytest.fixture
def screen(monkeypatch):
    screen, kind = io.StringIO(), type(module.console)
    monkeypatch.setattr(module, "console", kind(file=screen, force_terminal=True, width=120, highlight=False))
    monkeypatch.setenv("TERM", "xterm")
    return screen


def test_on_a_terminal_a_loop_is_shown_by_its_name_and_how_far_it_is_and_then_wiped_out(screen):
    seen = []
    with progress("likelihood"):
        for item in watched("abcd", 4):
            seen.append(item)
            if item == "c":
                before = len(screen.getvalue())
                bars, _ = _bars.get()
                bars.refresh()
                shown, after = screen.getvalue()[before:], len(screen.getvalue())
    assert seen == list("abcd")
    assert "likelihood: blocks" in shown
    assert "50%" in shown
    ends = screen.getvalue()[after:]
    assert ERASED in ends[ends.rindex("likelihood") :]


def test_in_a_pipe_nothing_is_shown(capsys):
    with progress("likelihood"):
        assert [*watched(range(3), 3)] == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_without_one_around_it_a_loop_is_a_plain_loop(screen):
    assert [*watched(iter("ab"), 2)] == ["a", "b"]
    assert screen.getvalue() == ""


def test_a_loop_that_is_left_early_or_fails_is_shown_no_more(screen):
    with progress("latents"):
        bars, _ = _bars.get()
        next(iter(watched(range(3), 3)))
        assert len(bars.tasks) == 1
        with pytest.raises(ZeroDivisionError):
            [1 // item for item in watched([0], 1)]
    assert _bars.get() is None
