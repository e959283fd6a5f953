"""`jepa plot` on a run that was trained for a moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jepa_core as jepa
from jepa_core.cli import main
from tests.conftest import TINY, VECTORS


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plotted")
    (folder / "tiny.toml").write_text(TINY)
    return jepa.train(folder / "tiny.toml", device="cpu", runs_dir=folder).path


def plot(run: Path, output: Path, *flags: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["plot", str(run), "-o", str(output), "--device", "cpu", *flags])
    return int(ended.value.code or 0)


def test_a_picture_is_drawn_and_the_run_stays_as_it_was(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.rglob("*") if path.is_file()}
    output = tmp_path / "mine.png"
    assert plot(run, output) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"{run.name} · step ")
    assert shown[1].startswith(f"24 predictions → {output} (")
    assert shown[-1] == "  coloured by rule; --label takes rule, task"
    assert output.read_bytes().startswith(b"\x89PNG")
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.rglob("*") if path.is_file()} == before


def test_flags_reach_the_picture(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "mine.svg"
    flags = ("--array", "target", "--split", "train", "--label", "task", "--neighbours", "2", "--set", "data.seed=9")
    assert plot(run, output, *flags) == 0
    shown = capsys.readouterr().out
    assert "96 targets → " in shown
    assert "coloured by task" in shown
    drawn = output.read_text()
    for words in ("· target", "train: 96", "by cosine (target)"):
        assert words in drawn
    assert "<!-- B -->" in drawn
    assert "<!-- C -->" not in drawn


@pytest.mark.parametrize(
    ("labels", "flags", "told"),
    [
        ({}, [], "without colours: this data has no labels besides its tasks"),
        (
            {},
            ["--label", "task"],
            "without colours: task has 40 classes, and a legend holds 20",
        ),
        (
            {"labels.pace": np.arange(80) / 8},
            [],
            "without colours: no label has 2 to 20 classes; --label takes pace, task",
        ),
        ({"labels.pace": np.arange(80) / 8}, ["--label", "pace"], "coloured by pace; --label takes pace, task"),
    ],
)
def test_why_there_are_no_colours_is_said(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    labels: dict[str, np.ndarray],
    flags: list[str],
    told: str,
) -> None:
    observations = np.random.default_rng(0).normal(size=(80, 3, 4)).astype(np.float32)
    np.savez(tmp_path / "data.npz", observations=observations, split=np.arange(80) % 2, **labels)  # type: ignore[arg-type]  # no key is allow_pickle
    (tmp_path / "arrays.toml").write_text(VECTORS.format(path=tmp_path / "data.npz"))
    trained = jepa.train(tmp_path / "arrays.toml", device="cpu", runs_dir=tmp_path, audit=False).path
    assert plot(trained, tmp_path / "a.svg", *flags) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"  {told}"


def test_a_file_that_is_there_is_replaced_only_by_force(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "mine.png"
    output.write_text("precious")
    assert plot(run, output) == 1
    assert f"{output} is there already. Give another name, or --force to replace it." in capsys.readouterr().err
    assert output.read_text() == "precious"
    assert plot(run, output, "--force", "--neighbours", "0") == 0
    assert output.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "flags", "told"),
    [
        ("a.gif", [], "has the ending '.gif': pictures are written to .png, .pdf, .svg."),
        ("a.png", ["--label", "colour"], "the data has no such label. There are rule, task."),
        ("a.png", ["--map", "tsne"], "--map 'tsne' is none. Use pca, umap."),
        ("a.png", ["--set", "encoder.dim=4"], "the weights were trained with the run's own value"),
        ("a.png", ["--step", "77"], "There is no checkpoint of step 77"),
    ],
)
def test_what_is_asked_for_wrongly_is_told_and_leaves_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, name: str, flags: list[str], told: str
) -> None:
    assert plot(run, tmp_path / name, *flags) in (1, 2)
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "flags", "told"),
    [
        ("matplotlib.figure", [], 'pip install "jepa-core[plot]"'),
        ("umap", ["--map", "umap"], "pip install umap-learn, or use --map pca."),
    ],
)
def test_what_is_not_installed_is_told_with_the_command_to_install_it(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    module: str,
    flags: list[str],
    told: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert plot(run, tmp_path / "a.png", *flags) in (1, 2)
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_command_loads_no_torch_before_it_is_called() -> None:
    source = "import sys, jepa_core.commands.plot\nassert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", source], check=True, timeout=60)
