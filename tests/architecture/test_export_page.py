"""`docs/export.md` cannot rot: its commands are typed and its code runs, in order, as a reader would paste it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jepa_core.cli import main
from jepa_core.spaces import Space
from jepa_plugins.grids.space import GridSpace
from jepa_plugins.images.space import ImageSpace
from jepa_plugins.series.space import SeriesSpace
from jepa_plugins.vectors.space import VectorSpace

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")


def blocks_of(language: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [block for name, block in blocks if name == language]


def test_its_commands_and_its_code_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], runs_of_digits: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(runs_of_digits, "runs")
    (typed,) = blocks_of("")
    run, *exports = typed.splitlines()
    assert run == "jepa run digits"
    assert len(exports) == 2
    capsys.readouterr()
    for line in exports:
        with pytest.raises(SystemExit) as left:
            main(line.split()[1:])
        assert not left.value.code
    (shown,) = blocks_of("text")
    told = [line for line in shown.splitlines() if line.startswith(("  takes", "  gives"))]
    assert set(told) <= set(capsys.readouterr().out.splitlines())
    names: dict[str, Any] = {}
    for block in blocks_of("python"):
        exec(compile(block, "docs/export.md", "exec"), names)
    assert names["means"].shape == (5, 48)
    means = names["tokens"].mean(1)
    np.testing.assert_allclose(names["means"], means, atol=1e-6)
    with torch.no_grad():
        tokens, _ = names["encoder"](pixels=torch.from_numpy(names["pixels"]).to(names["device"]))
    np.testing.assert_allclose(tokens.cpu().numpy(), names["tokens"], atol=1e-4)
    assert capsys.readouterr().out.startswith("{'kind': 'image', 'channels': 1, 'height': 12, 'width': 12}\nconvnet ")


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (ImageSpace(channels=3, height=5, width=4), ("channels", "height", "width")),
        (SeriesSpace(length=5, channels=2), ("steps", "channels")),
        (VectorSpace(dim=5), ("numbers",)),
        (GridSpace(side=5), ("side", "side")),
    ],
    ids=lambda value: getattr(value, "plural", ""),
)
def test_its_table_has_the_tensors_of_every_space(space: Space, words: tuple[str, ...]) -> None:
    (row,) = re.findall(rf"^\| {space.plural} \| (.*) \|$", PAGE, re.MULTILINE)
    first, *others = space.sample(3).tensors.items()
    shape = ", ".join(("batch", *words))
    assert f"`{first[0]}` ({shape}) {str(first[1].dtype).removeprefix('torch.')}" in row
    for name, tensor in others:
        sizes = ", ".join(("batch", *map(str, tensor.shape[1:])))
        assert f"`{name}` ({sizes}) {str(tensor.dtype).removeprefix('torch.')}" in row
