"""The screen of `jepa run`: a bar on a terminal, one plain line per validation elsewhere, and a log of both."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.text import Text

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


class Shown:
    """A screen with its outputs."""

    def __init__(self, *, terminal: bool = False, steps_done: int = 0, width: int = 100) -> None:
        self._out, self._log = io.StringIO(), io.StringIO()
        console = Console(file=self._out, width=width, force_terminal=terminal, markup=False, highlight=False)
        self.screen = TrainingScreen(
            console, self._log, epochs=30, total_steps=1440, steps_done=steps_done, null="extrapolation"
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


def test_without_a_terminal_each_validation_is_one_plain_line_and_other_rows_are_none() -> None:
    shown = Shown()
    with shown.screen:
        shown.screen.row(ROW)
        shown.screen.progress(812, 17.0)
        assert shown.out == ""
        shown.screen.row(VALIDATED)
    assert shown.out == shown.log
    assert shown.out.startswith("epoch 17/30  step 812  info_nce 5.214 ")
    assert shown.out.count("\n") == 1
    assert "\x1b" not in shown.out


def test_a_validation_row_shows_figures_of_earlier_rows_too() -> None:
    shown = Shown()
    shown.screen.row(ROW)
    shown.screen.row({"step": 813.0, "epoch": 17.02, "val.retrieval.mrr": 0.5, "val.retrieval.null_mrr": 0.364})
    assert "codes 14.1 %" in shown.out
    assert "val MRR 0.500" in shown.out


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
