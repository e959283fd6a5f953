"""What TAB offers, as the program answers a shell that asks."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from jepa_core.cli import main, program
from jepa_core.commands.completing import SOURCES
from jepa_core.commands.completing_fields import _schema
from jepa_core.recipes.layers import recipe_names, shipped_recipes
from jepa_core.run_directory.stored_checkpoints import checkpoint_name
from tests.architecture.test_imports import HEAVY, commands_of_app
from tests.commands.test_injection import NAME
from tests.monitor.test_injection import FORBIDDEN
from tests.plugins.distributions import COMPONENT, on_the_path
from tests.run_directory.runs import record_run, validation

FREE = {
    "--label", "--name", "WORD",
    "--gpus", "--jobs", "--keep", "--neighbours", "--processes",
    "--replay", "--seconds", "--seeds", "--timeout",
}  # fmt: skip
"""Numbers and words of one's own."""


@pytest.fixture
def offered(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Values after some words, and what else is told of them."""

    def ask(*words: str) -> list[str]:
        with pytest.raises(SystemExit) as ended:
            main(["__complete", *words])
        assert ended.value.code == 0
        return [line.partition("\t")[0] if line[:1] != "\x1f" else line for line in capsys.readouterr().out.split("\n")]

    return ask


def test_commands_recipes_and_runs(
    offered: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record_run(tmp_path / "runs" / "one-20260101-000000", [validation(1, 1.0, 0.4)])
    record_run(tmp_path / "others" / "two-20260101-000000", [validation(1, 1.0, 0.4)])
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "mine.toml").touch()
    (tmp_path / "recipes" / ".kept.toml").touch()
    assert {"run", "autopsy", "completion"} <= set(offered("r"))
    assert {"list", "new", "show"} <= set(offered("recipe", ""))
    for words in (["run"], ["recipe", "diff", "a"], ["recipe", "new", "a.toml", "--from"], ["rollback", "--use"]):
        found = offered(*words, "")
        assert {"mine", *recipe_names(shipped_recipes())} <= set(found)
        assert ".kept" not in found
        assert "\x1ffiles\t\t.toml" in found
    for words in (["eval"], ["run", "--resume"], ["compare", "a"], ["monitor"]):
        found = offered(*words, "")
        assert [name for name in found if name[:1].isalpha()] == ["latest", "one-20260101-000000"]
        assert "\x1ffiles\t\t/" in found
    assert "two-20260101-000000" in offered("eval", "--runs-dir", "others", "")


def test_what_a_run_is_called_by_and_has(
    offered: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    older, newer = (tmp_path / "runs" / f"one-20260101-{time}" for time in ("000000", "120000"))
    for run in (older, newer):
        record_run(run, [validation(1, 1.0, 0.4)])
    assert [value for value in offered("eval", "20260101-0") if value[:1].isdigit()] == ["20260101-000000"]
    assert [value for value in offered("eval", "12") if value[:1].isdigit()] == ["120000"]
    assert not [value for value in offered("eval", "o") if value[:1].isdigit()]

    (older / "environment.json").write_text('{"tags": ["wide", "lr"]}', encoding="utf-8")
    for step in (8, 64):
        (older / "checkpoints" / checkpoint_name(step)).mkdir(parents=True)
    fired = [
        {"sequence": number, "name": name, "severity": "warning", "message": "why", "time": 1.0, "step": 1.0}
        for number, name in enumerate(("rollback B", "checkpoint", "scenario slide", "rollback B", "non-finite"))
    ]
    (older / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in fired), encoding="utf-8")
    for command in ("run", "runs"):
        assert {"wide", "lr"} <= set(offered(command, "--tag", ""))
    assert {"0", "8", "64"} <= set(offered("rollback", "one-20260101-00", "--to", ""))
    assert {"best", "newest", "8", "64"} <= set(offered("eval", older.name, "--step", ""))
    assert {"0", "8"}.isdisjoint(offered("rollback", "--to", "6"))
    (older / "recipe.toml").write_text('[[metrics]]\nname = "own.figure"\ndoc = "mine"\nbetter = "higher"\n')
    judged = offered("compare", older.name, newer.name, "--metric", "")
    assert {"own.figure", "val.retrieval.mrr"} <= set(judged)
    assert {"lr", "loss.*"}.isdisjoint(judged)
    assert "val.retrieval.mrr" in offered("ablate", "x", "--metric", "val.")
    rules = [value for value in offered("rollback", older.name, "--scenario", "") if value and value[0] != "\x1f"]
    assert rules == ["non-finite", "B", "slide"]
    for line in (["rollback", "--scenario", ""], ["rollback", "no such", "--scenario", ""]):
        assert not [value for value in offered(*line) if value and value[0] != "\x1f"]


def test_components_of_other_plugins_are_offered_and_not_imported(
    offered: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = on_the_path(tmp_path / "site", monkeypatch)
    of_loss = COMPONENT.format(kind="far").replace("jepa_aggregators", "jepa_losses")
    site.put("near", "raise SystemExit\n" + COMPONENT.format(kind="near"))
    site.put("far", of_loss.replace("    def build", "    rate: float = setting('how far', default=1)\n    def build"))
    site.put("odd", "def jepa_losses(:")
    site.describe("garbled", "[jepa]\nno equals sign here\n")
    _schema.cache_clear()
    try:
        assert {"near", "far", "mean"} <= set(offered("plugins", "show", ""))
        assert {"jepa-near", "jepa-garbled", "jepa-core"} <= set(offered("run", "--no-plugin", ""))
        assert "aggregator.kind=near" in offered("run", "--set", "aggregator.kind=")
        assert "losses.far." in offered("run", "--set", "losses.")
        assert "losses.far.rate=" in offered("run", "--set", "losses.far.")
        assert "losses.own.kind=far" in offered("run", "--set", "losses.own.kind=")
    finally:
        _schema.cache_clear()


def test_components_of_a_file_that_the_line_names_are_offered_and_not_run(
    offered: Callable[..., list[str]], tmp_path: Path
) -> None:
    near, far = tmp_path / "near.py", tmp_path / "far.py"
    near.write_text("raise SystemExit\n" + COMPONENT.format(kind="near"))
    far.write_text(
        COMPONENT.format(kind="far").replace("    def build", "    rate: float = setting('how far')\n    def build")
    )
    named = ["--plugin", str(near), f"--plugin={far}"]
    assert {"aggregator.kind=near", "aggregator.kind=far"} <= set(
        offered("run", "x", *named, "--set", "aggregator.kind=")
    )
    assert "aggregator.rate=" in offered("run", *named, "x", "--set", "aggregator.kind=far", "--set", "aggregator.")
    assert "aggregator.kind=near" in offered("ablate", "x", *named, "--vary", "aggregator.kind=")
    assert {"near", "far", "mean"} <= set(offered("plugins", "show", *named, ""))
    assert "near" not in offered("plugins", "show", f"--plugin={far}", "")
    for unreadable in (str(tmp_path), str(tmp_path / "gone.py"), "~nobody/x.py"):
        assert "mean" in offered("plugins", "show", "--plugin", unreadable, "")


@pytest.mark.parametrize(
    ("words", "there", "absent"),
    [
        (["run", "quickstart", "--set", ""], {"train.", "data.", "name="}, {"train.epochs="}),
        (["run", "quickstart", "--set", "train.e"], {"train.epochs="}, {"train.compile="}),
        (["run", "quickstart", "--set", "train.compile="], {"train.compile=false", "train.compile=auto"}, set()),
        (["run", "quickstart", "--set=aggregator.kind="], {"aggregator.kind=mean"}, {"aggregator.kind=ema_vq"}),
        (["run", "digits", "--set", "encoder."], {"encoder.stages="}, {"encoder.patch="}),
        (["run", "x", "--set", "encoder.kind=vit", "--set", "encoder."], {"encoder.patch="}, {"encoder.stages="}),
        (["recipe", "show", "no such", "--set", "encoder."], {"encoder.patch=", "encoder.stages="}, set()),
        (["run", "x", "--set", "losses.info_nce."], {"losses.info_nce.queue="}, set()),
        (["run", "x", "--set", "losses.mine."], {"losses.mine.kind=", "losses.mine.queue="}, set()),
        (["run", "x", "--set", "no.such."], set(), {"no.such."}),
        (["ablate", "x", "--vary", "aggregator.kind=mean,a"], {"aggregator.kind=mean,analogy"}, set()),
        (["run", "x", "--set", "data.path=~/"], {"\x1ffiles\tdata.path=\t"}, set()),
        (["run", "x", "--set=data.path="], {"\x1ffiles\t--set=data.path=\t"}, set()),
        (["rollback", "--use=a"], {"\x1ffiles\t--use=\t.toml", "arc"}, set()),
        (["eval", "--runs-dir", ""], {"\x1ffiles\t\t/"}, set()),
        (["plugins", "show", "att"], {"attention"}, {"mean"}),
        (["run", "x", "--no-plugin", ""], {"jepa-core"}, set()),
        (["plugins", "new", "a", "--family", ""], {"loss", "null"}, set()),
        (["runs", "--sort", ""], {"gain"}, set()),
        (["run", "x", "--auto"], {"--auto-rollback"}, {"--set"}),
        (["nonsense", "--x", ""], set(), {"run"}),
        (["--line", "jepa run --set  aggregator.kind=mea"], {"aggregator.kind=mean"}, set()),
        (["--line", "jepa run 'quick"], {"quickstart"}, set()),
        (["--line", "jepa recipe "], {"show"}, {"run"}),
        (["--line", "jepa"], {"run"}, set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_stands_next(
    offered: Callable[..., list[str]], words: list[str], there: set[str], absent: set[str]
) -> None:
    found = offered(*words)
    assert there <= set(found)
    assert absent.isdisjoint(found)


def test_every_argument_is_completed_or_free() -> None:
    known = set(FREE)
    for *path, _ in commands_of_app():
        command = program(path[0]).parse_commands(path)[1][-1]
        for argument in command.assemble_argument_collection() if command.default_command else ():
            has_own = argument.is_flag() or any(kind in str(argument.hint) for kind in ("Path", "bool"))
            if not has_own and not argument.get_choices(force=True):
                assert (argument.name in SOURCES) != (argument.name in FREE), (path, argument.name)
                known.discard(argument.name)
    assert known == set()


def test_nothing_that_takes_long_is_loaded() -> None:
    code = f"""import sys
from contextlib import suppress
from jepa_core.cli import main
with suppress(SystemExit):
    main(["__complete", "r"])
assert "cyclopts" not in sys.modules
asked = (
    ["run", ""], ["run", "digits", "--set", "encoder."], ["eval", ""], ["plugins", "show", ""],
    ["rollback", "--scenario", ""], ["rollback", "--to", ""], ["runs", "--tag", ""], ["compare", "--metric", ""],
)
for words in asked:
    with suppress(SystemExit):
        main(["__complete", *words])
    loaded = {{"jepa_plugins", *{HEAVY!r}}} & sys.modules.keys()
    assert not loaded, (words, loaded)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", [NAME, "\udcff", " "], ids=["families", "not UTF-8", "a space"])
def test_a_name_that_would_act_is_not_offered(
    offered: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    record_run(tmp_path / "runs" / name, [validation(1, 1.0, 0.4)])
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / f"{name}.toml").touch()
    for words in (["eval", ""], ["run", ""]):
        told = [line for line in offered(*words) if line[:1] != "\x1f"]
        assert [line for line in told if any(unicodedata.category(letter) in FORBIDDEN for letter in line)] == []
        assert " " not in told
