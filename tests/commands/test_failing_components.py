"""Components that fail in commands that look at a model: a few lines say which, whose, and where its traceback is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jepa_core.cli import main
from jepa_core.registry import installed

PLUGIN = '''
import os
import attrs
from torch import nn
from jepa_core.hookspecs import hookimpl
from jepa_plugins.aggregators.mean import MeanConfig


@attrs.frozen(kw_only=True)
class FrailConfig(MeanConfig):
    """The mean, as long as nobody minds."""

    kind = "frail"

    def build(self, facts):
        return Frail(super().build(facts))


class Frail(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *given, **more):
        if "FRAIL" in os.environ:
            raise ArithmeticError("it broke\\x1b[31m")
        return self.inner(*given, **more)


@hookimpl
def jepa_aggregators():
    return [FrailConfig]
'''


def run(*arguments: object) -> int:
    installed.cache_clear()
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run, and the plugin file that it was made with."""
    from tests.conftest import TINY

    folder = tmp_path_factory.mktemp("frail")
    (folder / "tiny.toml").write_text(TINY.replace('kind = "attention"', 'kind = "frail"'))
    (folder / "frail.py").write_text(PLUGIN)
    plugin = ("--plugin", folder / "frail.py", "--runs-dir", folder / "runs")
    assert run("run", folder / "tiny.toml", "--no-audit", *plugin) == 0
    (path,) = (folder / "runs").iterdir()
    return path, folder / "frail.py"


COMMANDS: dict[str, Callable[[Path, Path], list[object]]] = {
    "eval": lambda path, _out: ["eval", path],
    "embed": lambda path, out: ["embed", path, "-o", out / "e.npz"],
    "plot": lambda path, out: ["plot", path, "-o", out / "p.png"],
    "audit": lambda path, _out: ["audit", path.parents[1] / "tiny.toml"],
    "audit --brief": lambda path, _out: ["audit", path.parents[1] / "tiny.toml", "--brief"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_component_that_fails_is_named_with_its_origin_and_its_traceback_is_kept(
    command: Callable[[Path, Path], list[object]],
    trained: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, plugin = trained
    before = sorted(path.rglob("*"))
    monkeypatch.setenv("FRAIL", "1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    capsys.readouterr()
    assert run(*command(path, tmp_path), "--plugin", plugin) == 1
    told = capsys.readouterr().err
    assert re.match(r"aggregator 'frail' of \S*frail\.py raised ArithmeticError: it broke", told)
    assert len(told.splitlines()) <= 4
    assert "\x1b" not in told
    kept = re.search(r"Its traceback: (\S+)", told)
    assert kept is not None
    assert "in forward" in Path(kept[1]).read_text()
    assert sorted(path.rglob("*")) == before
    assert [file.suffix for file in tmp_path.iterdir() if file.is_file()] == [".txt"]
