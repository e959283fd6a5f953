from __future__ import annotations

from jepa_core.run_directory.summary import RunSummary
from jepa_monitor.runs.runs_lines import runs_lines

NAMES = ("tiny-20261123-064240", "tiny-20261123-064153")


def summary(name: str) -> RunSummary:
    return RunSummary(
        path=f"/runs/{name}", name=name, state="rolled_back", epoch=302.5, total_epochs=4000.0,
        best_mrr=0.345, null_mrr=0.302, null="pair_analogy", outcome="regression", baseline="gentle_vq", exit_code=2,
    )  # fmt: skip


def rows(width: int) -> list[str]:
    lines = runs_lines([summary(name) for name in NAMES], [], f"/runs/{NAMES[0]}", width)
    assert {line.width for line in lines} == {width}
    return [line.text for line in lines]


def test_at_80_columns_runs_can_be_told_apart_and_their_verdicts_read() -> None:
    heading, first, second = rows(76)
    assert "null" not in heading.split()
    assert [name in row for name, row in zip(NAMES, (first, second), strict=True)] == [True, True]
    assert "regression" in first


def test_where_there_is_room_no_column_is_left_out() -> None:
    heading, first, _ = rows(136)
    assert heading.split() == ["run", "state", "epoch", "best", "MRR", "null", "strongest", "null", "verdict"]
    assert first.rstrip().endswith("regression against gentle_vq")


def test_on_the_narrowest_screens_the_name_stays() -> None:
    assert all(name[:15] in row for name, row in zip(NAMES, rows(50)[1:], strict=True))
