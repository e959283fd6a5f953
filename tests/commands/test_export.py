"""`jepa export`: the encoder of a run that was trained for a moment, in words and as JSON, and every refusal."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
import pytest
import torch

import jepa_core as jepa
from jepa_core.cli import main
from jepa_core.engine.exchange_formats import CONTENTS
from jepa_core.engine.opened_run import OpenedRun, open_run
from jepa_core.registry import installed
from tests.conftest import TINY


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run of an encoder of cells with dropout, on grids of side 9."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "tiny.toml").write_text(
        TINY.replace("patch = 3", "patch = 3\ndropout = 0.3").replace("side = 8", "side = 9")
    )
    return jepa.train(folder / "tiny.toml", device="cpu", runs_dir=folder / "runs").path


def export(run: Path, *flags: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["export", str(run), *map(str, flags)])
    return int(ended.value.code or 0)


def opened(run: Path) -> OpenedRun:
    return open_run(run, overrides=(), step="newest", device="cpu", registry=installed())


def test_both_formats_are_written_and_what_they_hold_is_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for suffix in ("pt2", "onnx"):
        output = tmp_path / f"encoder.{suffix}"
        assert export(run, "-o", output) == 0
        shown, errors = capsys.readouterr()
        first, second, *others, last = shown.splitlines()
        assert first.startswith(f"{run.name} · step 6, epoch 1")
        assert second.startswith(f"{output} · ")
        assert second.endswith(" kB · online encoder cells")
        assert others == [
            "  takes    grid (batch, 9, 9) uint8 · size (batch, 2) int64",
            "  gives    tokens (batch, 9, 16) float32 · mask (batch, 9) bool",
            "  compared with the encoder on 96 validation observations, in batches of 1, 7 and 100:",
        ]
        assert "masks are equal" in last or last == "  tokens and masks are equal"
        assert errors == ""


@pytest.mark.parametrize("part", ["online", "target"])
def test_a_file_holds_the_weights_of_the_part_that_was_asked_for_and_says_so(
    part: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "encoder.pt2"
    assert export(run, "-o", output, "--part", part, "--step", "newest", "--json") == 0
    printed = orjson.loads(capsys.readouterr().out)
    assert printed["parity"]["largest_difference"] <= 1e-4
    assert printed["num_bytes"] == output.stat().st_size
    extra: dict[str, str] = {CONTENTS: ""}
    program = torch.export.load(output, extra_files=extra).module()
    contents = orjson.loads(extra[CONTENTS])
    assert contents == printed["contents"]
    assert (contents["part"], contents["recipe"], contents["step"]) == (part, "tiny", 6)
    assert contents["space"] == {"kind": "grid", "side": 9}
    look = opened(run)
    observations = look.dataset().validation.observations[:, -1]
    objective = look.model.objective
    with torch.no_grad():
        tokens, mask = program(**observations.tensors)
        online, target = objective.online.encode(observations), objective.target.encode(observations)
    expected = {"online": online, "target": target}
    torch.testing.assert_close(tokens, expected[part].values)
    assert torch.equal(mask, expected[part].mask)
    assert (expected["online"].values - expected["target"].values).abs().max() > 1e-3


def test_other_observations_can_be_compared_on(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--set", "data.num_sequences=30", "--set", "data.side=8", "--set", "train.precision=fp16")
    assert export(run, "-o", tmp_path / "encoder.pt2", *flags) == 0
    assert "compared with the encoder on 24 validation observations" in capsys.readouterr().out


def test_a_file_that_is_there_is_kept_unless_it_may_be_replaced(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "encoder.pt2"
    output.write_text("before")
    assert export(run, "-o", output) == 1
    assert "encoder.pt2 is there already. Give another name, or --force to replace it." in capsys.readouterr().err
    assert output.read_text() == "before"
    assert export(run, "-o", output, "--force") == 0
    assert torch.export.load(output).example_inputs is not None


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [
        ("encoder.pth", 1, "encoder.pth has the ending '.pth': encoders are written to .pt2, .onnx"),
        ("no/encoder.pt2", 1, "There is no folder "),
        ("folder.pt2 --force", 1, "folder.pt2 is a folder"),
        ("encoder.pt2 --step 4", 1, "There is no checkpoint of step 4"),
        ("encoder.pt2 --set encoder.dim=8", 2, "weights were trained with the run's own value"),
        ("encoder.pt2 --set data.side=12", 1, "and this data has one of 12"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_writes_nothing(
    typed: str, code: int, told: str, *, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.pt2").mkdir()
    output, *flags = typed.split()
    assert export(run, "-o", tmp_path / output, *flags) == code
    assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.pt2"]


def test_without_onnxscript_the_extra_is_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert export(run, "-o", tmp_path / "encoder.onnx") == 1
    told = capsys.readouterr().err
    assert "not installed: onnxscript.\nInstall them: pip install 'jepa-core[onnx]'." in told
    assert export(run, "-o", tmp_path / "encoder.pt2") == 0


def test_without_onnxruntime_it_is_said_that_nothing_was_compared(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert export(run, "-o", tmp_path / "encoder.onnx") == 0
    assert capsys.readouterr().out.endswith(
        "  not compared with the encoder: onnxruntime, which runs such a file, is not installed\n"
    )


def test_nothing_changes_in_the_run(run: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    export(run, "-o", tmp_path / "encoder.pt2")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
