"""`jepa autopsy` after runs that died: it names the cause, and what it says to type works."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from jepa_core.autopsy.examining import examine
from jepa_core.autopsy.remedies import next_commands
from jepa_core.cli import main
from jepa_core.registry import installed
from jepa_core.run_directory.status import read_status

PARTS = str(Path(__file__).parents[1] / "engine" / "failing_parts.py")

Call = Callable[..., int]


@pytest.fixture
def call(tmp_path: Path, tiny_recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs the program in a folder with `tiny.toml`; its exit code."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> int:
        installed.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return call


def typed(run: Path) -> list[list[str]]:
    """The commands that are offered, as arguments."""
    return [shlex.split(command)[1:] for command in next_commands(examine(run))]


@pytest.fixture
def fragile(call: Call) -> Path:
    """A run that ended since its aggregator gave NaN."""
    code = call(
        "run", "tiny.toml", "--no-audit", "--plugin", PARTS, "--set", "aggregator.kind=fragile",
        "--set", "aggregator.breaks_after=4", "--set", "checkpoint.every_steps=1",
        "--set", "diagnostics.every_steps=100",
    )  # fmt: skip
    assert code == 3
    (run,) = Path("runs").iterdir()
    return run


def test_a_value_that_is_not_finite_is_traced_to_its_batch_and_every_command_offered_works(
    call: Call, fragile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert call("autopsy") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not finite first output of online.aggregator" in said
    assert "its batch seed 3, step 5, micro-batch 0: sequences " in said
    assert f"Kept in {fragile}/bad_batches/step-5.safetensors" in said
    assert "step 4 is the newest that verifies" in said
    assert f"{fragile.name} · ✘ aborted · step 4 of" in said
    assert "at step 4: step 5" not in said
    rollback, check, resume = typed(fragile)
    assert check[:2] == ["plugins", "check"]
    assert call(*check) in (0, 1)
    assert "fragile" in capsys.readouterr().out
    assert call("rollback", fragile.name, "--dry-run", "--plugin", PARTS) == 0
    assert "optimizer.lr 0.0003 → 0.00015" in capsys.readouterr().out
    assert call(*rollback, "--dry-run") == 0
    assert "optimizer.lr 0.0003 → 0.00015" in capsys.readouterr().out
    assert call(*resume) == 3
    assert "Step 5 was not finite" in capsys.readouterr().out


def test_json_says_the_same(call: Call, fragile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert call("autopsy", fragile.name, "--json") == 0
    told = orjson.loads(capsys.readouterr().out)
    assert (told["death"]["kind"], told["death"]["exit_code"]) == ("non-finite", 3)
    assert told["batches"][0]["step"] == 5
    assert told["checkpoint"]["step"] == 4
    assert [shlex.split(each["command"])[1:] for each in told["next"]] == typed(fragile)


def test_memory_that_ran_out_leads_to_a_rollback_with_half_the_micro_batch(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "greedy.py"
    plugin.write_text(
        Path(PARTS).read_text().replace(
            "return torch.where(passes > self.breaks_after, torch.full_like(state, torch.nan), state)",
            "if self.training and passes > self.breaks_after: raise torch.OutOfMemoryError('Tried to allocate 2 GiB')\n"
            "        return state",
        )
    )  # fmt: skip
    code = call(
        "run", "tiny.toml", "--no-audit", "--plugin", str(plugin), "--set", "aggregator.kind=fragile",
        "--set", "aggregator.breaks_after=4", "--set", "checkpoint.every_steps=1",
        "--set", "diagnostics.every_steps=100",
    )  # fmt: skip
    assert code == 1
    assert "Out of memory in aggregator 'fragile' of" in capsys.readouterr().err
    (run,) = Path("runs").iterdir()
    status = read_status(run)
    assert status is not None
    assert (status.state, status.exit_code) == ("failed", 1)
    (rollback,) = typed(run)
    assert rollback[:6] == ["rollback", run.name, "--to", "4", "--set", "train.batch_size=8"]
    assert call(*rollback, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "train.batch_size 16 → 8" in shown
    assert "train.accumulate 1 → 2" in shown
