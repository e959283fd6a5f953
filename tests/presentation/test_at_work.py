"""What goes on is said while it takes long, and not after."""

from __future__ import annotations

import io
import threading

from rich.console import Console

from jepa_core.presentation.at_work import AtWork, at_work


class Told(io.StringIO):
    """An output that says when it has been written to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def flush(self) -> None:
        self.written.set()


def test_where_there_is_no_terminal_a_line_says_what_goes_on_and_for_how_long() -> None:
    out, now = Told(), 0.0
    work = AtWork(Console(file=out, width=80), "reading", every=0.001, clock=lambda: now)
    work.say("counting")
    now = 12.0
    for _ in range(2):  # the first may be a line that was begun before
        out.written.clear()
        assert out.written.wait(10)
    work.stop()
    shown = out.getvalue()
    assert shown.splitlines()[-1] == "counting · 12 s"
    work.stop()
    assert out.getvalue() == shown


def test_what_is_quickly_done_says_nothing_there() -> None:
    out = io.StringIO()
    with at_work(Console(file=out, width=80), "reading"):
        pass
    assert out.getvalue() == ""


def test_on_a_terminal_it_moves_and_leaves_nothing_behind() -> None:
    out = io.StringIO()
    with at_work(Console(file=out, width=80, force_terminal=True), "reading"):
        pass
    assert "reading · 0" in out.getvalue()
    assert out.getvalue().rstrip().endswith("\x1b[2K")


def test_each_part_of_the_work_has_its_own_time() -> None:
    now = 0.0
    console = Console(file=io.StringIO(), width=80)
    work = AtWork(console, "ranking nulls", every=60.0, clock=lambda: now)
    now = 30.0
    assert str(work.__rich__()) == "ranking nulls · 30 s"
    work.say("auditing")
    now = 34.0
    assert str(work.__rich__()) == "auditing · 4 s"
    work.say("auditing")
    now = 40.0
    assert str(work.__rich__()) == "auditing · 10 s"
    work.stop()
