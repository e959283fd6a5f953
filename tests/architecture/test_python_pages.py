"""`docs/python.md` and `docs/embeddings.md` cannot rot: their code runs, in order, as a reader would paste it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import jepa_core as jepa
from jepa_core.cli import main
from tests.architecture.conftest import SMALL

DOCS = Path(__file__).parents[2] / "docs"


def blocks_of(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for written_in, block in blocks if written_in == language]


def run_blocks(page: str, blocks: list[str], names: dict[str, Any]) -> None:
    for block in blocks:
        exec(compile(block, f"docs/{page}", "exec"), names)


def shorter(block: str) -> str:
    """With less data, which is what takes long."""
    small = {
        'jepa.train("digits"': f'jepa.train(jepa.recipe("digits", set={SMALL})',
        '"num_sequences": 1000': '"num_sequences": 300',
        '"data.num_sequences": 800': '"data.num_sequences": 400',
    }
    for text, instead in small.items():
        block = block.replace(text, instead)
    return block


def test_the_code_of_the_python_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    run_blocks("python.md", [shorter(block) for block in blocks_of("python.md", "python")], names)
    assert {path.name for path in Path().iterdir()} == {"digits.npz", "own.toml", "runs"}
    assert names["embedded"].prediction.shape[1] == names["state"].shape[1] == 48
    assert names["frame"].shape[0] == len(names["metrics"]["loss.total"])
    printed = capsys.readouterr().out
    assert "<Recipe digits: moving_digits, convnet, attention_pool, info_nce, view_contrast, 1 epochs>" in printed
    assert "3 observations of images of 12 × 12 pixels" in printed


def test_every_name_of_the_door_is_on_the_page() -> None:
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    for name in set(jepa.__all__) - {"__version__", "Embedded", "Metrics", "Recipe"}:
        assert re.search(rf"\b{name}\b", page), name


def test_commands_and_code_of_the_embeddings_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs_of_digits: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(runs_of_digits, "runs")
    typed = [line.split()[1:] for block in blocks_of("embeddings.md", "") for line in block.splitlines()]
    assert [command for command, *_ in typed] == ["embed", "embed", "embed", "eval", "export", "export", "plot"]
    for arguments in typed:
        with pytest.raises(SystemExit) as left:
            main([*arguments, *([] if arguments[0] == "export" else ["--device", "cpu"])])
        assert not left.value.code
    names: dict[str, Any] = {}
    run_blocks("embeddings.md", blocks_of("embeddings.md", "python"), names)
    assert len(names["frame"]) > 0
    assert set(names["split"]) == {"train", "validation"}
