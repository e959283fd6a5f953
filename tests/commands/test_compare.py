from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from jepa_core.commands.compare import compare
from jepa_core.errors import JepaError, RecipeError
from tests.run_directory.runs import record_run, validation


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    record_run(tmp_path / "a-20260101-000000", [validation(1, 1.0, 0.4), validation(2, 2.0, 0.5)])
    other = record_run(tmp_path / "b-20260102-000000", [validation(1, 1.0, 0.4), validation(2, 2.0, 0.6)])
    recipe = other / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("weight = 1.0", "weight = 2.0"))
    record_run(tmp_path / "c-20260103-000000", [validation(1, 1.0, 0.4), validation(2, 2.0, 0.6)], data="data-2")
    return tmp_path


def test_runs_are_shown_side_by_side_with_where_they_part(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare("a-2026", "b-2026", runs_dir=runs_dir)
    shown = capsys.readouterr().out
    assert "same data" in shown
    assert "parts from a-20260101-000000 at step 2: val.retrieval.mrr 0.6 beside 0.5" in shown
    assert "+20 %" in shown


def test_rules_that_differ_are_one_line_unless_asked_for(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = next(runs_dir.glob("b-*")) / "recipe.toml"
    recipe.write_text(recipe.read_text() + '\n[[watch.must]]\nid = "mine"\nwhen = "lr > 1"\n')
    compare("a-2026", "b-2026", runs_dir=runs_dir)
    assert "1 difference: --rules shows them" in capsys.readouterr().out
    compare("a-2026", "b-2026", runs_dir=runs_dir, rules=True)
    assert "watch.must[mine].when" in capsys.readouterr().out


def test_runs_on_other_data_are_not_set_against_each_other(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare("a-2026", "c-2026", runs_dir=runs_dir)
    shown = capsys.readouterr().out
    assert shown.startswith("OTHER DATA")
    assert "+20 %" not in shown
    assert "parts from" not in shown


def test_a_picture_of_runs_on_other_data_says_so(runs_dir: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    compare("a-2026", "c-2026", runs_dir=runs_dir, plot=runs_dir / "other.svg")
    compare("a-2026", "b-2026", runs_dir=runs_dir, plot=runs_dir / "same.svg")
    # The words stand as glyphs, with their text in a comment.
    assert "OTHER DATA" in (runs_dir / "other.svg").read_text()
    assert "OTHER DATA" not in (runs_dir / "same.svg").read_text()


def test_json_has_full_curves(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare("a-2026", "b-2026", runs_dir=runs_dir, json=True)
    printed = orjson.loads(capsys.readouterr().out)
    assert printed["at_equal_steps"] == [
        {"metric": "val.retrieval.mrr", "steps": [1, 2], "values": [[0.4, 0.5], [0.4, 0.6]]}
    ]
    assert [run["final"]["val.retrieval.mrr"] for run in printed["runs"]] == [0.5, 0.6]


@pytest.mark.parametrize(("suffix", "beginning"), [(".svg", b"<?xml"), (".png", b"\x89PNG")])
def test_the_curves_are_drawn(runs_dir: Path, suffix: str, beginning: bytes) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    picture = runs_dir / f"curves{suffix}"
    compare("a-2026", "b-2026", runs_dir=runs_dir, plot=picture)
    assert picture.read_bytes().startswith(beginning)


def test_another_kind_of_picture_is_refused(runs_dir: Path) -> None:
    with pytest.raises(RecipeError, match=r"\.svg or \.png"):
        compare("a-2026", "b-2026", runs_dir=runs_dir, plot=Path("curves.pdf"))


def test_without_matplotlib_the_command_to_install_it_is_told(runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(JepaError, match=r'pip install "jepa-core\[plot\]"'):
        compare("a-2026", "b-2026", runs_dir=runs_dir, plot=Path("curves.svg"))


def test_comparing_loads_no_torch() -> None:
    source = "import sys, jepa_core.commands.compare\nassert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", source], check=True, timeout=60)
