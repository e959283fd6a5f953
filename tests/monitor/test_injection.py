"""Nothing in a run directory steers the terminal: every family of payload in every field of everything that is shown.

A part of the monitor joins by an entry in `SURFACES`, in `PANELS`, or in `screens`.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Iterable, Mapping

import attrs
import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.strip import Strip

from jepa_core.metrics import Metric
from jepa_core.recipes.difference import Change
from jepa_core.rollback.plan import RollbackPlan
from jepa_core.rollback.requests import PendingRequest, RequestAnswer, RollbackRequest
from jepa_core.run_directory.events import Event
from jepa_core.run_directory.status import Status
from jepa_core.run_directory.summary import RunSummary
from jepa_core.watch.baseline import BaselineValues, EpochSeries
from jepa_core.watch.findings import Finding, Firing
from jepa_core.watch.judgement import Extreme, Judgement, Kind, State
from jepa_core.watch.nulls import NullFigures, RankedNulls
from jepa_core.watch.rules import Criterion, Rollback, Watch
from jepa_core.watch.verdict import BestCheckpoint, ComparedFigure, Verdict
from jepa_monitor.alerts import AlertBook, Moment
from jepa_monitor.board.chart_groups import chart_groups
from jepa_monitor.board.chart_specs import ChartSpecs, shown_runs
from jepa_monitor.board.notice import notice_line
from jepa_monitor.board.notify import desktop_notification, notification_text
from jepa_monitor.board.rules_bar import rules_bar
from jepa_monitor.board.trouble import Trouble
from jepa_monitor.charts.drawing import draw_chart
from jepa_monitor.charts.look import Look
from jepa_monitor.chrome.head_line import head_line, legend_line, skeleton_line
from jepa_monitor.display import Display
from jepa_monitor.feed.rank_rows import RankRows
from jepa_monitor.history.run_history import RunHistory
from jepa_monitor.model.ranks import ranks_of
from jepa_monitor.model.run_view import Outlook, RunView
from jepa_monitor.panels.codes import CodesPanel, codes_content
from jepa_monitor.panels.console import ConsolePanel, console_content
from jepa_monitor.panels.context_use import ContextUsePanel, context_use_content
from jepa_monitor.panels.events import EventsPanel, events_content
from jepa_monitor.panels.framed_lines import Content, FramedLines, to_strip
from jepa_monitor.panels.line import Line
from jepa_monitor.panels.losses import LossesPanel, losses_content
from jepa_monitor.panels.machine import GpuReading, MachineReading
from jepa_monitor.panels.panel import Panel
from jepa_monitor.panels.ranks import RanksPanel, ranks_content
from jepa_monitor.panels.retrieval import RetrievalPanel, retrieval_content
from jepa_monitor.panels.spectrum import SpectrumPanel, spectrum_content
from jepa_monitor.panels.system import SystemPanel, system_content
from jepa_monitor.runs.preview import preview_content
from jepa_monitor.runs.runs_lines import runs_head, runs_lines
from jepa_monitor.screens.alerts import AlertsScreen, alerts_content, history_content
from jepa_monitor.screens.recipe_difference import OtherRecipe, RecipeDifferenceScreen, difference_content
from jepa_monitor.screens.rollback_content import rollback_content
from jepa_monitor.screens.rollback_screen import RollbackScreen
from jepa_monitor.screens.rollback_state import RollbackState, Stage, Standing
from jepa_monitor.screens.sheet import Sheet
from jepa_monitor.screens.verdict import VerdictScreen, verdict_content
from tests.monitor.panels.views import NOON, a_view
from tests.monitor.screens.stage import drawn_rows

PAYLOADS: Mapping[str, str] = {
    "escape": "\x1b[2J\x1b[1;1Hgone",
    "csi": "\x9b2Jgone\x9b31m",
    "osc 8": "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "osc 52": "\x1b]52;c;cm0gLXJm\x07",
    "dcs": "\x1bP$q q\x1b\\\x90tmux;\x9c",
    "c1": "".join(map(chr, range(0x80, 0xA0))),
    "bell, backspace, return": "a\x07b\x08\x08c\rd",
    "bidirectional": "\u202eevil\u202c\u2066x\u2069\u200f",
    "no width": "a\u200b\u200d\ufeff\u2060b\u00ad",
    "wide and combining": "宽字🧨e\u0301\u0489" + "\u0300" * 40,
    "rich markup": "[bold red]x[/bold red][/][link=http://evil]y[/link]",
    "textual markup": "[@click=app.quit]x[/] [$error]y [on $error]z \\[",
    "nul": "a\x00b",
    "long": "x" * 100_000,
    "newline": "a\nb\r\nc\u2028d\u2029e\x0b\x0c\x85f",
}

FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
LOOKS = (Look(), Look(ascii=True, no_colour=True))
WIDTHS = (24, 76, 116)
NOW = Moment(wall=NOON, monotonic=0.0)

every_payload = pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())


JUDGED: tuple[tuple[Kind, State], ...] = (("must", "holding"), ("nice", "failed"), ("rollback", "fired"))


def poisoned(payload: str) -> RunView:
    """A run with the payload wherever a text can stand, and in names."""
    firing = Firing(
        name=payload,
        kind="rollback",
        severity="critical",
        message=payload,
        step=5.0,
        epoch=1.0,
        evidence={"when": payload, "rows": [{"step": 5.0, payload: 0.5, "x": payload}], payload: payload},
        advice=payload,
        set={payload: {payload: payload}},
        use=payload,
    )
    judgements = tuple(
        Judgement(
            id=payload,
            kind=kind,
            title=payload,
            when=payload,
            state=state,
            value=0.5,
            operator=">" if kind == "must" else payload,
            limit=0.4,
            margin=0.2,
            unit=payload,
            worst=Extreme(value=0.5, epoch=1.0, margin=0.1),
            evaluations=3,
        )
        for kind, state in JUDGED
    )
    null = NullFigures(name=payload, mrr=0.3, top1=0.2, hard_mrr=0.3, weights={payload: 1.0})
    nulls = RankedNulls(figures=(null,), strongest_hard=payload, disabled=(payload,))
    return a_view(
        name=payload,
        path=f"/nowhere/{payload}",
        status=Status(state="running", host=payload, recipe=payload, parent=payload, child=payload, step=5),
        finals={"step": 5.0, payload: 0.5, f"loss.{payload}": 0.5, f"grad.share.{payload}": 0.5, "loss.total": 1.0}
        | {"val.retrieval.mrr": 0.4, "val.hard.mrr": 0.4, "val.hard.null_mrr": 0.3},
        metrics={payload: Metric(payload, payload, unit=payload)},
        watch=Watch(
            must=(Criterion(id=payload, when=payload, title=payload),),
            rollback=(Rollback(id=payload, when=payload, title=payload, advice=payload, use=payload),),
        ),
        outlooks=tuple(Outlook(judgement=each, prospect="at risk", metric=payload) for each in judgements),
        firings=(firing,),
        events=(
            Event(sequence=1, time=NOON, step=5, severity="critical", name=payload, message=payload, advice=payload),
            Event(sequence=2, time=NOON, name="rolled back", message=payload, evidence={payload: payload}),
        ),
        diagnosis={payload: payload, "code_counts": [1, payload], "spectrum": {payload: [1]}, "time_weights": payload},
        console=(payload, f"before {payload} after"),
        recipe={payload: payload, "losses": {payload: {"temperature_min": payload, payload: payload}}},
        environment={"host": payload, payload: payload} | nulls.to_environment(),
        baseline=BaselineValues(name=payload, run=payload, path=payload),
        problems=(payload,),
        replay_position=payload,
        ranks=ranks_of([RankRows(rank=rank, rows=({"step": 1e300 * rank, "time.step": 1e300},)) for rank in (0, 7)]),
    )


def verdict_of(view: RunView) -> Verdict:
    """A verdict whose every text is the view's name."""
    text = view.name
    return Verdict(
        run=text,
        outcome="regression",
        reason=text,
        ending="abort",
        cause=text,
        baseline=text,
        baseline_run=text,
        judgements=tuple(outlook.judgement for outlook in view.outlooks),
        compared=(ComparedFigure(name=text, value=1.0, baseline=2.0, change=-0.5),),
        best=BestCheckpoint(step=5, epoch=1.0, why=text, path=text),
        findings=(Finding(name=text, severity="critical", message=text, advice=text, set={text: text}, step=5.0),),
        next=f"{text}  # {text}",
    )


def machine_of(view: RunView) -> MachineReading:
    return MachineReading(gpus=(GpuReading(index=0, name=view.name),))


def plan_of(view: RunView) -> RollbackPlan:
    text = view.name
    return RollbackPlan(
        scenario=text,
        title=text,
        message=text,
        advice=text,
        use=text,
        changes=(Change(text, text, {text: [text]}), Change(text, None, 1)),
        command=text,
        notes=(text,),
    )


def rollback_state(view: RunView, stage: Stage) -> RollbackState:
    request = RollbackRequest(scenario=view.name, use=view.name)
    path = RecordedPath(view.name)
    return RollbackState(
        fired=(*view.firings, attrs.evolve(view.firings[0], name=f"{view.name}2")),
        stage=stage,
        plan=plan_of(view),
        problem=f"{view.name}\n{view.name}",
        standing=Standing(
            waiting=(
                PendingRequest(path=path, request=request),  # type: ignore[arg-type]  # only its name is looked at
                PendingRequest(path=path, request=None, refusal=view.name),  # type: ignore[arg-type]
            ),
            answers=(RequestAnswer(accepted=False, message=view.name, child=view.name),),
        ),
    )


@attrs.frozen
class RecordedPath:
    """The path of a file with any name, as a directory listing gives it."""

    name: str


def alert_book(view: RunView) -> AlertBook:
    book = AlertBook().observe(view, NOW)
    return book.snooze(book.alerts[0].key, 10, NOW)


def others(view: RunView) -> tuple[OtherRecipe, ...]:
    names = (view.name, f"{view.name}2")
    return tuple(OtherRecipe(relation=name, name=name, recipe={name: name, "a": [name]}) for name in names)


Draw = Callable[[RunView, int, Look], Iterable[Strip]]


def lines_of(content: Callable[[RunView, int, Look], Content]) -> Draw:
    """The rows of a pure content function, with its title and its foot."""

    def draw(view: RunView, width: int, look: Look) -> Iterable[Strip]:
        made = content(view, width, look)
        rows: list[Line] = [*made.lines, made.title, made.figure, made.foot]
        return [to_strip(row.fitted(width), look) for row in rows]

    return draw


def row_of(make: Callable[[RunView, int], Line | None]) -> Draw:
    """A single row over the whole width."""

    def draw(view: RunView, width: int, look: Look) -> Iterable[Strip]:
        row = make(view, width)
        return [] if row is None else [to_strip(row, look)]

    return draw


SURFACES: dict[str, Draw] = {
    "codes": lines_of(lambda view, width, look: codes_content(view, width, 5, look)),
    "spectrum": lines_of(lambda view, width, look: spectrum_content(view, width, 5, look)),
    "losses": lines_of(losses_content),
    "context use": lines_of(context_use_content),
    "retrieval": lines_of(retrieval_content),
    "system": lines_of(lambda view, width, look: system_content(view, width, look, machine_of(view), "here")),
    "system elsewhere": lines_of(lambda view, width, look: system_content(view, width, look, None, "here")),
    "system without a GPU": lines_of(
        lambda view, width, look: system_content(view, width, look, MachineReading(why_no_gpu=view.name), "here")
    ),
    "ranks": lines_of(lambda view, width, look: ranks_content(view, width, 9, look)),
    "events": lines_of(events_content),
    "console": lines_of(console_content),
    "verdict": lines_of(
        lambda view, width, look: verdict_content(attrs.evolve(view, verdict=verdict_of(view)), width, look)
    ),
    "rules so far": lines_of(verdict_content),
    "recipe difference": lines_of(lambda view, width, _look: difference_content(view, others(view), 0, width, 99)),
    "folded recipe difference": lines_of(
        lambda view, width, _look: difference_content(view, others(view), 0, width, 3)
    ),
    "no recipe to compare with": lines_of(lambda view, width, _look: difference_content(view, (), 0, width, 9)),
    "alerts": lines_of(lambda view, width, look: alerts_content(alert_book(view), 0, width, look, NOW)),
    "history": lines_of(lambda view, _width, look: history_content(alert_book(view), look)),
    "rollback": lines_of(
        lambda view, width, look: rollback_content(
            attrs.evolve(view, replay_position=""), rollback_state(view, "confirming"), width, look
        )
    ),
    "rollback in a replay": lines_of(
        lambda view, width, look: rollback_content(view, rollback_state(view, "ready"), width, look)
    ),
}

SURFACES |= {
    "head line": row_of(lambda view, width: head_line(view, width, (view.name,))),
    "skeleton": row_of(lambda view, width: skeleton_line(view.name, width)),
    "rules bar": row_of(rules_bar),
    "legend": row_of(lambda view, width: legend_line([view, view], width)),
    "notice": row_of(lambda view, width: notice_line(view, "", None, width)),
    "problem": row_of(lambda view, width: notice_line(view, view.name, None, width)),
}

NAME = 50
"""Characters of a payload in names of metrics, which are not kept when they are too long."""


def charted(view: RunView) -> RunView:
    """With rows, limits, marks and a baseline whose texts are the view's name."""
    text, name = view.name, view.name[:NAME]
    metrics = (name, f"loss.{name}", f"grad.share.{name}", "loss.total", "val.retrieval.mrr")
    history = RunHistory()
    history.extend([{"step": step, "epoch": step / 5, **dict.fromkeys(metrics, 1 / step)} for step in (1.0, 2.0, 9.0)])
    series = EpochSeries(epochs=(0.2, 0.4), values=(0.9, 0.5))
    return attrs.evolve(
        view,
        history=history.view(),
        finals=dict.fromkeys(metrics, 0.5),
        metrics={metric: Metric(metric, text, unit=text) for metric in metrics},
        outlooks=tuple(attrs.evolve(view.outlooks[0], metric=metric) for metric in metrics),
        firings=(attrs.evolve(view.firings[0], evidence={"when": "loss.total > 0"}),),
        baseline=BaselineValues(name=text, series={"loss.total": series}, figures={name: 0.7}),
    )


def charts(*, of_several: bool = False) -> Draw:
    """Every chart of a run, or of two in the same charts, with a crosshair; frame and title included."""

    def draw(view: RunView, width: int, look: Look) -> Iterable[Strip]:
        shown = [charted(view)] * (1 + of_several)
        display = Display(crosshair=2.0)
        runs = shown_runs(shown, display)
        for group in chart_groups(shown[0].history.names):
            spec = ChartSpecs().spec(group, runs, display, Trouble(0, 0), is_chosen=True)
            for height in (1, 9):
                yield from draw_chart(spec, width, height, look).lines

    return draw


def a_summary(text: str) -> RunSummary:
    return RunSummary(
        name=text,
        path=text,
        state="finished",
        epoch=3.0,
        total_epochs=4.0,
        best_mrr=0.4,
        null_mrr=0.346,
        null="\x1b[2Jnull",
        outcome=text,
        baseline=text,
        exit_code=0,
        recipe=text,
        tags=(text, text),
    )


def runs_table(view: RunView, width: int, look: Look) -> Iterable[Strip]:
    """A folder of runs, whose head and rows come from files."""
    text = view.name
    summary = a_summary(text)
    runs = (summary, attrs.evolve(summary, path=f"{text}2", state="running"))
    rows = (runs_head(text, runs, 1, width, [text]), *runs_lines(runs, [text], f"{text}2", width))
    return [to_strip(row, look) for row in rows]


SURFACES |= {
    "charts": charts(),
    "charts of several runs": charts(of_several=True),
    "runs table": runs_table,
    "preview": lines_of(
        lambda view, width, look: preview_content(a_summary(view.name), charted(view), width, 30, look)
    ),
}

PANELS: tuple[type[Panel], ...] = (
    CodesPanel,
    SpectrumPanel,
    LossesPanel,
    ContextUsePanel,
    RetrievalPanel,
    SystemPanel,
    RanksPanel,
    EventsPanel,
    ConsolePanel,
)


def screens(view: RunView) -> Iterable[Sheet]:
    """Every screen that lies over the dashboard."""
    look, ended = LOOKS[0], attrs.evolve(view, verdict=verdict_of(view))
    yield VerdictScreen(view, look)
    yield VerdictScreen(ended, look)
    yield RecipeDifferenceScreen(view, look, others(view))
    yield RecipeDifferenceScreen(view, look)
    yield AlertsScreen(view, look, alert_book(view))
    yield RollbackScreen(view, look, planner=lambda _run, _scenario: plan_of(view))


def assert_harmless(text: str, look: Look) -> None:
    bad = {hex(ord(character)) for character in text if unicodedata.category(character) in FORBIDDEN}
    assert not bad
    if look.ascii:
        assert text.isascii()


@every_payload
@pytest.mark.parametrize("surface", SURFACES.values(), ids=SURFACES.keys())
def test_no_control_character_reaches_a_row_and_every_row_has_its_width(surface: Draw, payload: str) -> None:
    view = poisoned(payload)
    for look in LOOKS:
        for width in WIDTHS:
            rows = list(surface(view, width, look))
            assert rows
            for strip in rows:
                assert_harmless(strip.text, look)
                assert not any(segment.control for segment in strip)
                assert strip.cell_length == cell_len(strip.text) == width


@pytest.mark.parametrize("family", ["rich markup", "textual markup"])
@pytest.mark.parametrize(
    "name",
    ["events", "console", "alerts", "rollback", "verdict", "recipe difference", "charts", "runs table", "preview"],
)
def test_markup_is_shown_as_it_stands(name: str, family: str) -> None:
    text = "\n".join(strip.text for strip in SURFACES[name](poisoned(PAYLOADS[family]), 240, LOOKS[0]))
    assert PAYLOADS[family][:12] in text


@every_payload
def test_the_widgets_and_screens_draw_nothing_else(payload: str) -> None:
    for look, row in asyncio.run(everything_on_screen(poisoned(payload))):
        assert_harmless(row, look)


async def everything_on_screen(view: RunView) -> list[tuple[Look, str]]:
    """Every row that panels and screens hand to Textual, frames and titles included."""

    class Everything(App[None]):
        CSS = "FramedLines { height: 6; }"

        def compose(self) -> ComposeResult:
            yield from (panel() for panel in PANELS)

    app = Everything()
    rows: list[tuple[Look, str]] = []
    async with app.run_test(size=(80, 24)) as pilot:
        panels = list(app.query(Panel))
        for look in LOOKS:
            for panel in panels:
                panel.show(view, look)
            rows += [(look, row) for row in drawn_rows(panels)]
        for sheet in screens(view):
            await app.push_screen(sheet)
            await pilot.pause()
            for look in LOOKS:
                sheet.show(sheet.view, look)
                rows += [(look, row) for row in drawn_rows(sheet.query(FramedLines))]
            await app.pop_screen()
    return rows


@every_payload
def test_a_notification_holds_no_sequence_but_its_own(payload: str) -> None:
    book = AlertBook().observe(poisoned(payload), NOW)
    sequence = desktop_notification(notification_text(payload, book.alerts))
    assert sequence.startswith("\x1b]9;")
    assert_harmless(sequence.removeprefix("\x1b]9;").removesuffix("\a"), LOOKS[0])
