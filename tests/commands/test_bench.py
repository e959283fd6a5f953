"""`jepa bench`: what it shows, what it refuses, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from jepa_core.benchmarking import parts
from jepa_core.benchmarking.whole_run import timed_run
from jepa_core.cli import main
from jepa_core.errors import JepaError
from jepa_core.exit_codes import explained
from jepa_core.registry import installed

BROKEN = """
from typing import ClassVar
import attrs
import torch
from jepa_core.contracts import BenchmarkCase
from jepa_core.hookspecs import hookimpl

def breaks(numbers):
    raise ValueError("of no use")

@attrs.frozen
class Breaks:
    '''Breaks.'''
    kind: ClassVar[str] = "breaks"
    metrics: ClassVar[tuple[()]] = ()
    def build(self, facts):
        yield BenchmarkCase(what="one", inputs=(torch.ones(1),), ours=breaks, naive=torch.sum)
        if facts.device == "cpu":
            raise KeyError("no second one")

@hookimpl
def jepa_benchmarks(): return [Breaks]
"""


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture
def broken_plugin(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "breaking.py"
    path.write_text(BROKEN)
    yield path
    installed.cache_clear()


def test_quick_shows_every_part_beside_plain_torch_at_80_columns(
    tiny_recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--quick", "--device", "cpu", "--recipe", tiny_recipe_file) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for part in ("step", "attention", "codebook", "contrast", "tokeniser"):
        assert f"\n{part} · " in out
    for text in ("tiny, 16 sequences a step", "grids/s", "tokens/s", "reached here: matrix products"):
        assert text in out
    assert "\nrun · " not in out
    assert "jepa bench run" in out


def test_json_has_figures_hardware_and_what_the_device_reaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("codebook", "--quick", "--device", "cpu", "--json") == 0
    printed = orjson.loads(capsys.readouterr().out)
    assert printed["machine"].keys() >= {"device", "torch", "Python", "jepa-core"}
    assert printed["rates"]["flop_per_s"] > 0
    first, second = printed["results"]
    assert (first["part"], first["yardstick"]) == ("codebook", "torch")
    ways = {row["way"]: row for row in first["rows"]}
    assert ways["torch"]["ratio"] == 1
    assert ways["jepa"]["ratio"] == pytest.approx(ways["torch"]["ms"] / ways["jepa"]["ms"])
    assert ways["jepa"]["share_of_floor"] == pytest.approx(first["floor_ms"] / ways["jepa"]["ms"])
    assert "training step" in second["case"]


def test_a_whole_run_has_its_phases_in_order_and_is_gone_afterwards(
    tiny_recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    assert call("run", "--quick", "--device", "cpu", "--recipe", tiny_recipe_file, "--json") == 0
    (result,) = orjson.loads(capsys.readouterr().out)["results"]
    times = [row["ms"] for row in result["rows"]]
    assert [row["way"].split()[-1] for row in result["rows"]] == ["row", "row", "verdict", "process"]
    assert times == sorted(times)
    assert 500 < times[0] < times[-1] < 60_000
    assert list(scratch.iterdir()) == []


def test_a_run_that_fails_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(JepaError, match=r"ended with code 2:\nNo recipe nothing-like-this"):
        timed_run(["nothing-like-this"])


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_nothing_is_left_of_a_run_that_is_ended(
    tiny_recipe_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    raised: type[BaseException],
) -> None:
    scratch, begun, start = tmp_path / "scratch", [], subprocess.Popen
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))

    def noted(*arguments: Any, **more: Any) -> subprocess.Popen[bytes]:
        begun.append(start(*arguments, **more))
        threading.Timer(0.3, os.kill, (os.getpid(), number)).start()
        return begun[0]

    monkeypatch.setattr(subprocess, "Popen", noted)
    with pytest.raises(raised):
        timed_run([str(tiny_recipe_file)])
    assert begun[0].returncode == -signal.SIGKILL
    assert list(scratch.iterdir()) == []


def test_ctrl_c_ends_it_with_a_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parts, "results_of", interrupted)
    assert call("codebook", "--quick", "--device", "cpu") == 130
    assert capsys.readouterr().err == f"{explained(['bench'], 130)}\n"


def test_a_part_that_does_not_exist_is_told_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("codebok") == 2
    told = capsys.readouterr().err
    assert "There is no part 'codebok' to time. Did you mean \"codebook\"?" in told
    for part in ("step", "run", "attention", "codebook", "contrast", "tokeniser"):
        assert f"\n  {part} " in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["step", "--recipe", "quikstart"], 'Did you mean "quickstart"?'),
        (["step", "--set", "train.batch_sise=4"], "batch_size"),
        (["codebook", "--set", "train.batch_size=4"], "--set train.batch_size=4: codebook take"),
    ],
)
def test_a_recipe_at_fault_is_told_before_anything_is_timed(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments, "--quick", "--device", "cpu") == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.out == ""


def test_a_benchmark_that_breaks_stops_with_its_name_after_what_could_be_shown(
    broken_plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("breaks", "--quick", "--device", "cpu", "--plugin", broken_plugin) == 1
    printed = capsys.readouterr()
    assert "failed: ValueError: of no use" in printed.out
    assert "The benchmark breaks of" in printed.err
    assert "KeyError: 'no second one'" in printed.err


def test_what_other_parts_took_is_not_lost_for_one_that_breaks(
    broken_plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("breaks", "tokeniser", "--quick", "--device", "cpu", "--json", "--plugin", broken_plugin)
    assert call(*arguments) == 1
    report = json.loads(capsys.readouterr().out)
    assert [error.splitlines()[0][:22] for error in report["errors"]] == ["The benchmark breaks o"]
    assert "tokeniser" in [result["part"] for result in report["results"]]


@pytest.mark.parametrize("given", ["['a']", "None", "[3]"])
def test_what_is_no_case_is_told_as_the_plugins_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    plugin, body = tmp_path / "wrong.py", BROKEN[BROKEN.index("        yield") : BROKEN.index("@hookimpl")]
    plugin.write_text(BROKEN.replace(body, f"        return {given}\n\n"), encoding="utf-8")
    assert call("breaks", "--quick", "--device", "cpu", "--plugin", plugin) == 1
    assert "cannot be built: TypeError" in capsys.readouterr().err


def test_a_plugins_benchmark_is_no_component(broken_plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plugins", "list", "--plugin", str(broken_plugin), "--json"])
    assert not ended.value.code
    listed = orjson.loads(capsys.readouterr().out)
    assert not [each for each in listed["components"] if each["name"] == "breaks"]
    assert listed["broken"] == []
