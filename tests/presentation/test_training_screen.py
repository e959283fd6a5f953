"""The screen of `jepa run`: a bar on a terminal, one plain line per validation elsewhere, and a log of both."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable

import pytest
from rich.console import Console
from rich.text import Text

from jepa_core.presentation.long_run import LongRun
from jepa_core.presentation.training_screen import TrainingScreen, figures_line

ROW = {
    "step": 812.0,
    "epoch": 17.0,
    "loss.total": 5.5,
    "loss.info_nce": 5.2,
    "loss.info_nce.raw": 5.214,
    "loss.relational.raw": 0.031,
    "loss.quantizer.raw": 0.04,
    "rank.context": 7.24,
    "rank.target": 8.31,
    "vq.usage": 0.141,
    "temperature": 0.068,
    "throughput.samples_per_second": 64120.4,
}
VALIDATED = ROW | {"val.retrieval.mrr": 0.412, "val.retrieval.null_mrr": 0.364}


LongRunTold = Callable[[float], LongRun | None]


class Shown:
    """A screen with its outputs, and a clock that stands still until it is moved."""

    def __init__(
        self, *, terminal: bool = False, steps_done: int = 0, width: int = 100, long_run: LongRunTold = lambda _: None
    ) -> None:
        self.now = 0.0
        self._out, self._log = io.StringIO(), io.StringIO()
        console = Console(file=self._out, width=width, force_terminal=terminal, markup=False, highlight=False)
        self.screen = TrainingScreen(
            console,
            self._log,
            epochs=30,
            total_steps=1440,
            steps_done=steps_done,
            null="extrapolation",
            long_run=long_run,
            clock=lambda: self.now,
        )

    @property
    def out(self) -> str:
        return self._out.getvalue()

    @property
    def log(self) -> str:
        return self._log.getvalue()


def test_the_figures_that_matter_are_in_one_line() -> None:
    assert figures_line(VALIDATED, "extrapolation").plain == (
        "info_nce 5.214   relational 0.031   rank 7.2 / 8.3   codes 14.1 %   τ 0.068   "
        "val MRR 0.412  (extrapolation 0.364)"
    )


def test_without_a_null_that_fits_retrieval_stands_alone() -> None:
    assert figures_line({"val.retrieval.mrr": 0.412}).plain.strip() == "val MRR 0.412"


@pytest.mark.parametrize("names", [[], ["loss.info_nce.raw"], ["vq.usage", "temperature"]])
def test_figures_that_a_row_lacks_are_left_out(names: list[str]) -> None:
    line = figures_line({name: ROW[name] for name in names}).plain
    assert len([part for part in line.split("   ") if part]) == len(names)


def test_without_a_terminal_the_first_row_and_each_validation_are_one_plain_line_and_other_rows_are_none() -> None:
    shown = Shown()
    with shown.screen:
        shown.screen.row(ROW | {"step": 1.0, "epoch": 1 / 48})
        shown.screen.row(ROW)
        shown.screen.progress(812, 17.0)
        assert shown.out.count("\n") == 1
        shown.screen.row(VALIDATED)
    assert shown.out == shown.log
    first, validation = shown.out.splitlines()
    assert first.startswith("epoch 0.02/30  step 1  info_nce 5.214 ")
    assert validation.startswith("epoch 17/30  step 812  info_nce 5.214 ")
    assert "\x1b" not in shown.out


def test_without_a_terminal_a_row_is_shown_when_nothing_was_for_a_minute() -> None:
    shown = Shown()
    shown.screen.row(ROW | {"step": 1.0, "epoch": 1 / 48})
    for step, now in ((2, 59.0), (3, 61.0), (4, 62.0)):
        shown.now = now
        shown.screen.row(ROW | {"step": float(step), "epoch": step / 48})
    assert [line.split("  ")[1] for line in shown.out.splitlines()] == ["step 1", "step 3"]


def test_without_a_terminal_a_slow_first_step_says_how_far_it_is() -> None:
    shown = Shown()
    for micro in range(1, 5):
        shown.now = 9.0 * micro
        shown.screen.progress(0, micro / 16 / 48)
    assert shown.out == "epoch 0/30  step 0.12  2 min 24 s a step, 2 d 9 h left\n"
    shown.screen.row(ROW | {"step": 1.0, "epoch": 1 / 48})
    shown.now += 100
    shown.screen.progress(1, 1 / 48)
    assert [line.split("  ")[1] for line in shown.out.splitlines()] == ["step 0.12", "step 1"]


def test_on_a_terminal_the_bar_moves_with_micro_batches_and_tells_step_pace_and_time_left() -> None:
    shown = Shown(terminal=True, steps_done=700)
    with shown.screen:
        shown.now = 7.0
        shown.screen.row({"step": 700.0, "epoch": 700 / 48})
    assert "first step, 7 s" in shown.out
    with shown.screen:
        shown.now = 15.0
        shown.screen.progress(700, 700.25 / 48)
        shown.now = 30.0
        shown.screen.progress(700, 700.5 / 48)
    assert "step 700.5  1 min 0 s a step, 12 h 19 min left" in shown.out


def test_a_step_between_two_is_a_whole_number() -> None:
    shown = Shown(terminal=True, steps_done=700)
    with shown.screen:
        shown.screen.row({"step": 700.0, "epoch": 700 / 48})
        shown.now = 7.0
        shown.screen.progress(701, 701 / 48)
        shown.now = 30.0
        shown.screen.progress(702, 702 / 48)
    assert "step 702  " in shown.out


def test_a_small_loss_is_not_all_zeros() -> None:
    assert (
        figures_line({"loss.sigreg.raw": 4.25e-5, "loss.info_nce.raw": 5.2142}).plain
        == "sigreg 4.25e−5   info_nce 5.214"
    )


def test_a_long_run_is_told_of_once_when_its_steps_have_shown_it() -> None:
    asked: list[float] = []

    def told(seconds: float) -> LongRun | None:
        asked.append(seconds)
        return LongRun("It will take long.", "In about an hour:  jepa run tiny --set train.epochs=3")

    shown = Shown(long_run=told)
    for step in range(1, 40):
        shown.now = 100 + 2.0 * step
        shown.screen.progress(step, step / 48)
    assert asked == [pytest.approx(2 * (1440 - 6))]
    assert shown.out.count("It will take long.  In about an hour:  jepa run tiny --set train.epochs=3") == 1


def test_an_event_on_another_thread_is_shown_at_once() -> None:
    shown = Shown(terminal=True)
    with shown.screen:
        thread = threading.Thread(target=lambda: shown.screen.event("warning", "Stopping.", ""))
        thread.start()
        thread.join()
        assert "Stopping." in shown.out


def test_a_validation_row_shows_figures_of_earlier_rows_too() -> None:
    shown = Shown()
    shown.screen.row(ROW)
    shown.screen.row({"step": 813.0, "epoch": 17.02, "val.retrieval.mrr": 0.5, "val.retrieval.null_mrr": 0.364})
    assert "codes 14.1 %" in shown.out.splitlines()[1]
    assert "val MRR 0.500" in shown.out.splitlines()[1]


def test_on_a_terminal_the_bar_shows_epoch_rate_and_figures() -> None:
    shown = Shown(terminal=True)
    with shown.screen:
        shown.screen.progress(812, 17.0)
        shown.screen.row(VALIDATED)
    assert "epoch 17/30" in shown.out
    assert "64,120 samples/s" in shown.out
    assert "extrapolation 0.364" in shown.out
    assert shown.log.count("\n") == 1


def test_a_resumed_run_starts_its_bar_where_it_stopped() -> None:
    shown = Shown(terminal=True, steps_done=720)
    with shown.screen:
        pass
    assert "epoch 15/30" in shown.out


def test_the_last_epoch_is_not_exceeded() -> None:
    shown = Shown(terminal=True)
    with shown.screen:
        shown.screen.progress(1440, 30.4)
    assert "epoch 30/30" in shown.out


@pytest.mark.parametrize(("epoch", "text"), [(2.0, "epoch 2/30 "), (0.2525, "epoch 0.25/30 "), (30.0, "epoch 30/30 ")])
def test_a_validation_within_an_epoch_says_where_it_was(epoch: float, text: str) -> None:
    shown = Shown()
    shown.screen.row(VALIDATED | {"epoch": epoch})
    assert shown.out.startswith(text)


@pytest.mark.parametrize(("severity", "mark"), [("warning", "▲"), ("critical", "✘")])
def test_warnings_and_worse_are_printed_with_their_advice(severity: str, mark: str) -> None:
    shown = Shown()
    shown.screen.event(severity, "Codes collapse.", "Refresh less often.")  # type: ignore[arg-type]  # parametrized text
    assert shown.out == shown.log == f"  {mark} Codes collapse.  Refresh less often.\n"


def test_information_is_for_the_log() -> None:
    shown = Shown()
    shown.screen.event("info", "Checkpoint at step 6.", "")
    assert shown.out == ""
    assert shown.log == "  · Checkpoint at step 6.\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_control_characters_in_a_message_do_not_reach_the_terminal(terminal: bool) -> None:
    shown = Shown(terminal=terminal)
    shown.screen.event("warning", "\x1b]52;c;ZXZpbA==\x07[bold]x[/bold]\x9b2J", "\x1b[2J")
    for text in (shown.out, shown.log):
        assert "\x1b]52" not in text
        assert "\x9b" not in text
        assert "\x1b[2J" not in text
        assert "[bold]x[/bold]" in text


def test_long_lines_are_not_cut_nor_broken_in_the_log() -> None:
    shown = Shown()
    shown.screen.print(Text("word " * 60))
    assert shown.out == shown.log == "word " * 60 + "\n"


def visible(text: str) -> list[str]:
    """Lines without control sequences."""
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "\n").splitlines()]


def test_on_a_narrow_terminal_no_label_parts_from_its_number() -> None:
    shown = Shown(terminal=True, width=60)
    with shown.screen:
        shown.screen.row(VALIDATED)
    lines = visible(shown.out)
    assert "  info_nce 5.214   relational 0.031   rank 7.2 / 8.3" in lines
    assert "  codes 14.1 %   τ 0.068" in lines
    assert "  val MRR 0.412  (extrapolation 0.364)" in lines


def test_on_a_narrow_terminal_a_warning_is_indented_and_its_command_whole() -> None:
    shown = Shown(terminal=True, width=40)
    command = "jepa rollback tiny-20261129-090720 --scenario attention_uniform"
    shown.screen.event("warning", "The weights over time are uniform for long.", f"Go back.  {command}  (why)")
    assert visible(shown.out) == [
        "  ▲ The weights over time are uniform",
        "    for long.",
        "    Go back.",
        f"    {command}",
        "    (why)",
    ]
    assert shown.log.count("\n") == 1


def test_on_a_narrow_terminal_a_line_goes_on_indented() -> None:
    shown = Shown(terminal=True, width=20)
    shown.screen.print(Text("  · one two three four"), indent=4)
    assert visible(shown.out) == ["  · one two three", "    four"]
