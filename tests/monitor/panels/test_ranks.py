from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import attrs
import pytest
from textual.app import App, ComposeResult

from jepa_monitor.board.panes import Pane
from jepa_monitor.charts.look import Look
from jepa_monitor.feed.rank_rows import RankRows
from jepa_monitor.model.ranks import ranks_of
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.ranks import ranks_content
from jepa_monitor.ranks_text import ranks_remarks, silence_text
from tests.monitor.panels.views import a_view, text_of
from tests.monitor.rank_files import rank_row

LOOK = Look()
PLAIN = Look(ascii=True, no_colour=True)


def recorded(rank: int, last: int = 200, **changes: float) -> RankRows:
    return RankRows(rank=rank, rows=tuple(rank_row(rank, step, **changes) for step in range(10, last + 1, 10)))


def view_of(recorded_ranks: Sequence[RankRows]) -> RunView:
    return a_view(ranks=ranks_of(recorded_ranks))


def test_lanes_of_a_few_ranks_as_a_text_grid() -> None:
    content = ranks_content(view_of([recorded(rank) for rank in range(4)]), 70, 10, PLAIN)
    assert text_of(content).splitlines() == [
        "            busy  = data  # work  . wait    data  wait  loss      peak",
        "  rank 0  171 ms  =###################....   4 %  15 %  5.00  11.5 GiB",
        "  rank 1  170 ms  =###################....   4 %  15 %  5.01  11.6 GiB",
        "  rank 2  170 ms  =###################....   4 %  15 %  5.02  11.7 GiB",
        "! rank 3  199 ms  =======#################  30 %   1 %  5.03  11.8 GiB",
        "  losses  5.00 (rank 0) … 5.03 (rank 3), 0.6 % apart",
    ]
    assert content.title.text == "4 at step 200"
    assert content.figure.text == "! rank 3, 17 % slower than the median"


def test_of_many_ranks_the_slowest_have_lanes_and_a_line_sums_up_the_others() -> None:
    content = ranks_content(view_of([recorded(rank) for rank in range(64)]), 70, 7, LOOK)
    rows = text_of(content).splitlines()
    assert len(rows) == 7
    assert rows[1].startswith("▲ rank 3")
    assert [row.split()[1] for row in rows[2:5]] == ["0", "8", "16"]
    assert rows[5] == "  60 others  168 ms … 171 ms  data 4 %  wait 16 %"
    tall = ranks_content(view_of([recorded(rank) for rank in range(64)]), 70, 60, LOOK)
    assert len(tall.lines) == 11


def test_a_silent_rank_stands_on_top_with_how_long() -> None:
    content = ranks_content(view_of([recorded(0), recorded(1), recorded(2, 50)]), 70, 10, LOOK)
    assert content.lines[0].text == "▲ rank 2  silent since step 50, about 30 s"
    assert content.title.text == "3 at step 200, 1 silent"
    of_many = [recorded(rank, 50 if rank == 40 else 200) for rank in range(64)]
    assert "rank 40" in ranks_content(view_of(of_many), 70, 7, LOOK).lines[0].text


def test_a_loss_that_is_not_finite_is_in_alert_and_among_many_ranks_it_has_a_lane() -> None:
    ranks = [recorded(rank, loss__total=math.nan if rank == 33 else 5.0) for rank in range(64)]
    content = ranks_content(view_of(ranks), 70, 7, LOOK)
    assert content.alert == "bad"
    assert "rank 33" in content.lines[1].text
    assert " nan " in content.lines[1].text


def test_without_waits_the_whole_step_is_shown_and_no_straggler_is_told_as_such() -> None:
    ranks = [recorded(rank) for rank in range(2)]
    rows = [tuple({k: v for k, v in row.items() if k != "time.wait"} for row in each.rows) for each in ranks]
    content = ranks_content(view_of([attrs.evolve(ranks[0], rows=rows[0]), attrs.evolve(ranks[1], rows=rows[1])]),
                            70, 10, PLAIN)  # fmt: skip
    assert "step  = data  # work " in content.lines[0].text
    assert "work         " in content.lines[0].text
    assert "201 ms" in content.lines[1].text
    assert content.figure.text == "no straggler"
    assert ranks_content(view_of([recorded(0, 50), recorded(1, 50)]), 70, 10, PLAIN).figure.text == ""


def test_the_head_line_names_who_is_silent_and_who_is_slow() -> None:
    assert ranks_remarks(ranks_of([recorded(0), recorded(1)])) == ()
    ranks = ranks_of([*(recorded(rank) for rank in range(4)), recorded(4, 50)])
    assert ranks_remarks(ranks) == ("rank 4 silent", "rank 3 slow")
    assert ranks_remarks(ranks_of([recorded(0), recorded(1, 50), recorded(2, 50)])) == ("2 ranks silent",)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(20.2, ", about 20 s"), (130.0, ", about 2 min 10 s"), (math.nan, ""), (math.inf, ""), (1e300, "")],
)
def test_a_silence_is_told_as_long_as_it_is_known_to_be(seconds: float, words: str) -> None:
    lane = attrs.evolve(ranks_of([recorded(0), recorded(1, 50)]).lanes[1], silent_seconds=seconds)
    assert silence_text(lane) == f"silent since step 50{words}"
    assert silence_text(attrs.evolve(lane, step=None)) == f"no row yet{words}"


def test_there_is_a_panel_of_ranks_below_the_system_only_where_there_are_ranks() -> None:
    class Frame(App[None]):
        def compose(self) -> ComposeResult:
            yield Pane("system")

    async def play() -> None:
        app = Frame()
        async with app.run_test(size=(80, 21)) as pilot:
            pane = app.query_one(Pane)
            system, ranks = pane.panels
            pane.show(a_view(), LOOK)
            await pilot.pause()
            assert not ranks.display
            assert system.size == (80, 21)
            pane.show(view_of([recorded(rank) for rank in range(8)]), LOOK)
            await pilot.pause()
            assert ranks.display
            assert (system.size.width, ranks.size.width) == (80, 80)
            assert ranks.size.height >= 12

    asyncio.run(play())
