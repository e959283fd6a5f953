from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from jepa_core.run_directory.summary import summarise
from jepa_monitor.charts.look import Look
from jepa_monitor.runs.preview import preview_content
from jepa_monitor.snapshot import take_snapshot
from tests.monitor.recorded import NOON, record, rows


def troubled(row: dict[str, float]) -> Mapping[str, float]:
    return row | {"vq.usage": 0.22 - row["step"] / 2000}


def told(run: Path, width: int = 60, height: int = 40, *, is_read: bool = True) -> str:
    content = preview_content(summarise(run), take_snapshot(run) if is_read else None, width, height, Look())
    return "\n".join(row.text for row in content.lines)


def test_it_says_how_the_run_stands_beside_its_null_and_its_rules(tmp_path: Path) -> None:
    run = record(tmp_path / "mine", state="aborted", change=troubled)
    text = told(run)
    assert "✘ aborted  epoch 4/4  took 1 min" in text
    assert "best MRR 0.380  +0.034" in text
    assert "null     0.346  extrapolation" in text
    assert "musts    ✘ 1" in text
    assert "▲ collapse" in text
    assert "✘ codes" in text


@pytest.mark.parametrize(("width", "against"), [(60, " against gentle_vq"), (30, "")])
def test_the_baseline_is_named_where_it_has_room(tmp_path: Path, width: int, against: str) -> None:
    summary = attrs.evolve(summarise(record(tmp_path / "mine")), outcome="regression", baseline="gentle_vq")
    rows = [row.text for row in preview_content(summary, None, width, 40, Look()).lines]
    assert f"verdict  regression{against}" in rows


def test_its_charts_are_those_that_matter_most_as_many_as_fit(tmp_path: Path) -> None:
    run = record(tmp_path / "mine")
    titles = [name for name in ("val.retrieval.mrr", "loss.info_nce", "vq.usage") if name in told(run)]
    assert titles == ["val.retrieval.mrr", "loss.info_nce", "vq.usage"]
    assert "loss.info_nce" not in told(run, height=18)
    assert "val.retrieval.mrr ─" not in told(run, height=8)


def test_before_the_files_are_read_the_list_s_own_figures_stand(tmp_path: Path) -> None:
    text = told(record(tmp_path / "mine"), is_read=False)
    assert "best MRR 0.380" in text
    assert "─" not in text


def test_low_and_wide_words_stand_beside_a_chart(tmp_path: Path) -> None:
    first, *_ = told(record(tmp_path / "mine"), width=76, height=7).splitlines()
    assert "✔ finished" in first
    assert "val.retrieval.mrr ─" in first


@pytest.mark.parametrize(("width", "height"), [(1, 1), (10, 3), (30, 5), (200, 60)])
def test_any_size_can_be_drawn(tmp_path: Path, width: int, height: int) -> None:
    assert told(record(tmp_path / "mine"), width, height)


@pytest.mark.parametrize(("width", "height"), [(30, 20), (76, 7)])
def test_how_long_it_took_is_never_cut(tmp_path: Path, width: int, height: int) -> None:
    text = told(record(tmp_path / "mine", state="rolled_back", heartbeat=NOON + 3600), width, height)
    assert "took 1 h 0 min" in text


def test_an_empty_run_says_so(tmp_path: Path) -> None:
    assert "no validation yet" in told(record(tmp_path / "mine", rows(0), state="starting"))
