from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest

from jepa_core.errors import RunDirectoryError
from jepa_core.presentation.terminal import InAscii, console_for
from jepa_core.run_directory.clock import Clock
from jepa_core.run_directory.status import read_status
from jepa_core.run_directory.writing import RunWriter
from jepa_core.watch.judge import Judge
from jepa_core.watch.nulls import NullFigures, RankedNulls
from jepa_core.watch.outcome import reach_verdict
from jepa_core.watch.rules import Watch
from jepa_monitor.command import monitor
from jepa_monitor.snapshot import take_snapshot
from jepa_monitor.text_view import text_view
from tests.monitor.rank_files import record_ranks
from tests.run_directory.runs import record_run, validation

USE = [{"step": step, "epoch": step / 10, "vq.usage": value} for step, value in [(10, 0.2), (20, 0.04), (30, 0.03)]]
INCIDENTS = Path(__file__).parents[1] / "incidents"


def shown(capsys: pytest.CaptureFixture[str], path: str, **options: Any) -> str:
    monitor(path, once=True, **options)
    return capsys.readouterr().out


def test_the_text_has_state_progress_rules_figures_and_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*USE, validation(40, 4.0, 0.41)]
    path = record_run(
        tmp_path / "mine-20260101-000000", rows, step=40, epoch=4.0, total_steps=40, total_epochs=4, exit_code=3
    )
    text = shown(capsys, str(path))
    assert "✔ finished   epoch 4/4   step 40/40" in text
    assert "MRR 0.410      strongest null 0.346" in text
    assert "✘ codebook in use   3.0 %   > 10 %   −70 %" in text
    assert "▲ collapse" in text
    assert "started at step 0   off we go" in text


def test_retrieval_stands_beside_the_nulls_that_the_run_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strongest = NullFigures(name="pair_analogy", mrr=0.346, top1=0.3, hard_mrr=0.6)
    nulls = RankedNulls(figures=(strongest,), strongest_hard="pair_analogy")
    above = {"above_null": 0.064, "above_null_low": -0.002, "above_null_high": 0.13, "candidates": 400.0}
    copies = {"mrr": 0.7, "blind_mrr": 0.2, "medoid_mrr": 0.971, "chance_mrr": 0.19}
    row = validation(40, 4.0, 0.41)
    row |= {f"val.retrieval.{name}": value for name, value in above.items()}
    row |= {f"val.hard.{name}": value for name, value in copies.items()}
    path = record_run(tmp_path / "mine-20260101-000000", [*USE, row])
    with RunWriter(path) as run:
        run.write_environment(nulls.to_environment())
    text = shown(capsys, str(path))
    assert "MRR 0.410      strongest null (pair analogy) 0.346" in text
    assert "difference                MRR +0.064 [−0.002, 0.130] among 400 candidates" in text
    assert "MRR 0.700 · pair analogy 0.600 · blind 0.200 · medoid 0.971 · chance 0.190" in text
    assert "! near copies are void: the medoid control is above chance" in text
    printed = orjson.loads(shown(capsys, str(path), json=True))
    assert (printed["strongest"], printed["strongest_hard"]) == ("pair_analogy", "pair_analogy")
    assert printed["nulls"]["pair_analogy"]["mrr"] == 0.346


def test_json_has_the_same_for_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_run(tmp_path / "mine-20260101-000000", [*USE, {"step": 40, "loss.total": float("nan")}])
    printed = orjson.loads(shown(capsys, "mine", runs_dir=tmp_path, json=True))
    assert printed["name"] == path.name
    assert printed["state"] == "finished"
    assert printed["figures"]["loss.total"] == "nan"
    assert {judgement["id"]: judgement["state"] for judgement in printed["judgements"]} == {
        "codebook-in-use": "failed",
        "collapse": "fired",
    }
    assert printed["firings"][-1]["advice"] == "Refresh less often."
    assert printed["status"]["step"] == 0


def test_ranks_are_told_and_one_process_has_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_run(tmp_path / "mine-20260101-000000", USE)
    assert "ranks" not in shown(capsys, str(path))
    assert orjson.loads(shown(capsys, str(path), json=True))["ranks"] == []
    record_ranks(path, 5, silent={4: 200})
    text = shown(capsys, str(path))
    assert "ranks   5   busy 170 ms … 199 ms   losses 5.00 (rank 0) … 5.03 (rank 3), 0.6 % apart" in text
    assert "! rank 3, 17 % slower than the median" in text
    assert "! rank 4 silent since step 200, about 40 s" in text
    printed = orjson.loads(shown(capsys, str(path), json=True))
    assert [(lane["rank"], lane["step"], lane["is_silent"]) for lane in printed["ranks"]][3:] == [
        (3, 400, False),
        (4, 200, True),
    ]
    assert printed["straggler"]["rank"] == 3


def test_a_folder_of_runs_is_listed_newest_first_and_no_path_means_the_newest_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("b-20260101-000000", "a-20260102-000000"):
        record_run(tmp_path / name, [validation(1, 1.0, 0.41)])
    listed = shown(capsys, str(tmp_path))
    assert listed.index("a-20260102-000000") < listed.index("b-20260101-000000")
    assert "0.410" in listed
    assert [run["name"] for run in orjson.loads(shown(capsys, str(tmp_path), json=True))] == [
        "a-20260102-000000",
        "b-20260101-000000",
    ]
    assert shown(capsys, "latest", runs_dir=tmp_path).startswith("a-20260102-000000")


def test_a_folder_without_runs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="neither a run directory nor a folder of runs"):
        monitor(str(tmp_path))


def test_a_finished_runs_verdict_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_run(tmp_path / "mine-20260101-000000")
    with RunWriter(path) as run:
        run.write_verdict(reach_verdict(Judge(Watch()), run=path))
        run.status.update(state="finished")
    assert "Verdict: no baseline" in shown(capsys, str(path))


def test_a_run_that_goes_on_again_has_no_verdict_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_run(tmp_path / "mine-20260101-000000")
    with RunWriter(path) as run:
        run.write_verdict(reach_verdict(Judge(Watch()), run=path))
        run.status.update(state="running")
        assert "Verdict" not in shown(capsys, str(path))


def test_a_silent_run_is_stale_with_the_age_of_its_last_sign_of_life(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", state="running", host="elsewhere")
    status = read_status(path)
    assert status is not None
    view = take_snapshot(path, Clock(now=lambda: status.heartbeat + 120, monotonic=lambda: 7.0))
    assert view.state == "stale"
    assert view.heartbeat_age == 120


def test_the_baseline_that_the_trainer_wrote_down_is_asked(tmp_path: Path) -> None:
    record_run(tmp_path / "gentle-20260101-000000", [validation(1, 1.0, 0.3)], name="gentle")
    path = record_run(tmp_path / "mine-20260102-000000", [{"step": 1, "epoch": 1.0, "val.retrieval.mrr": 0.2}])
    recipe = (path / "recipe.toml").read_text().replace('recipe = "gentle"', 'run = "gentle-2026"')
    rule = 'id = "A"\nwhen = "val.retrieval.mrr < baseline.val.retrieval.mrr"\n'
    (path / "recipe.toml").write_text(f"{recipe}\n[[watch.rollback]]\n{rule}")
    assert [firing.name for firing in take_snapshot(path).firings] == ["A"]


def test_a_firing_is_shown_with_the_rows_that_show_it_its_advice_and_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = record_run(tmp_path / "mine-20260102-000000", USE)
    rule = (
        'id = "B"\nwhen = "vq.usage < 0.05"\nadvice = "Weaker."\nset = { losses = { relational = { weight = 0.02 } } }'
    )
    with (path / "recipe.toml").open("a") as file:
        file.write(f"\n[[watch.rollback]]\n{rule}\n[[watch.scenario]]\n{rule.replace('B', 'slide')}\n")
    text = shown(capsys, str(path))
    assert "▲ rollback B   step 20   epoch 2   B: vq.usage < 0.05, value 0.040, limit 0.05" in text
    assert "    step 10   epoch 1   vq.usage 0.200\n    step 20   epoch 2   vq.usage 0.040" in text
    assert "    Weaker." in text
    assert f"    jepa rollback {path}" in text
    assert "    --set losses.relational.weight=0.02" in text


def test_a_rule_whose_trend_leads_to_its_limit_says_when_it_gets_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"step": step, "epoch": step / 10, "vq.usage": 0.30 - 0.002 * step} for step in range(1, 51)]
    path = record_run(tmp_path / "mine", rows, state="running", total_steps=200)
    assert "◔ codebook in use   20.0 %   > 10 %   +100 %   at risk: at the limit near step 100" in shown(
        capsys, str(path)
    )
    (judgement, *_) = orjson.loads(shown(capsys, str(path), json=True))["judgements"]
    assert judgement["prospect"] == "at risk"
    assert judgement["crossing_step"] == pytest.approx(100)


def test_in_ascii_nothing_else_is_printed(tmp_path: Path) -> None:
    path = record_run(tmp_path / "mine", [*USE, validation(40, 4.0, 0.41)], exit_code=3)
    stream = io.StringIO()
    console_for(stream).print(InAscii(text_view(take_snapshot(path))))
    assert stream.getvalue().isascii()
    assert "x codebook in use   3.0 %   > 10 %   -70 %" in stream.getvalue()


def test_at_80_columns_no_name_of_a_metric_is_cut(tmp_path: Path) -> None:
    row = {"step": 10, "epoch": 1.0} | {f"val.retrieval.above_null_{index:02}": 0.1 for index in range(9)}
    view = take_snapshot(record_run(tmp_path / "mine", [row]))
    for width in (80, 120):
        stream = io.StringIO()
        console = console_for(stream)
        console.width = width
        console.print(text_view(view))
        assert "…" not in stream.getvalue()
        assert stream.getvalue().count("val.retrieval.above_null_") == 9


def test_damage_is_said_and_nothing_breaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record_run(tmp_path / "mine", USE)
    for name in ("recipe.toml", "environment.json", "verdict.json", "status.json"):
        (path / name).write_bytes(b"\xff{")
    with (path / "metrics.jsonl").open("ab") as file:
        file.write(b"\xff\n" + b'{"step": 99')
    text = shown(capsys, str(path))
    assert "? unknown" in text
    assert "1 damaged line passed over" in text
    assert "verdict.json is damaged" in text


@pytest.mark.parametrize(
    "payload", ["\x1b[2J", "\x1b]52;c;x\x07", "[red]x[/red]", "[/]", "\u202eevil", "\x9b2J", "\x90"]
)
def test_foreign_text_in_every_field_neither_steers_the_terminal_nor_acts_as_markup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], payload: str
) -> None:
    path = record_run(tmp_path / "mine", [{"step": 1, payload: 0.5}], name="mine")
    rule = {"id": payload, "title": payload, "when": "step > 5"}
    (path / "recipe.toml").write_text(
        f"watch.must = [{{ {', '.join(f'{k} = {orjson.dumps(v).decode()}' for k, v in rule.items())} }}]"
    )
    with RunWriter(path) as run:
        run.event(payload, "critical", payload, advice=payload)
    verdict = reach_verdict(Judge(Watch()), run=path)
    with RunWriter(path) as run:
        run.write_verdict(attrs.evolve(verdict, baseline=payload, reason=payload, cause=payload))
    text = shown(capsys, str(path))
    assert not set(text) & set("\x1b\x07\x9b\x90\u202e")
    assert "[" not in payload or payload.lstrip("\x1b") in text.replace("␛", "").replace("␇", "\x07")


@pytest.mark.parametrize(("depth", "words"), [(28, "a.a.a.a"), (300, "recipe.toml is missing or damaged")])
def test_a_deeply_nested_change_is_shown_or_its_recipe_is_told_to_be_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], depth: int, words: str
) -> None:
    path = record_run(tmp_path / "mine", USE)
    change = "{ a = " * depth + "1" + " }" * depth
    with (path / "recipe.toml").open("a") as file:
        file.write(f'\n[[watch.scenario]]\nid = "deep"\nwhen = "vq.usage < 0.5"\nset = {change}\n')
    assert words in shown(capsys, str(path))
    assert orjson.loads(shown(capsys, str(path), json=True))["name"] == "mine"


@pytest.mark.parametrize("name", ["documented-gentle-healthy", "documented-refresh-collapse", "reference-optimized"])
def test_recorded_incidents_can_be_watched(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    path = record_run(tmp_path / name)
    (path / "metrics.jsonl").write_bytes((INCIDENTS / f"{name}.jsonl").read_bytes())
    assert ("✘ codebook in use" in shown(capsys, str(path))) == (name != "reference-optimized")


def test_the_monitor_loads_neither_torch_nor_textual() -> None:
    code = "import sys, jepa_monitor.command; sys.exit(bool({'torch', 'textual'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
