"""Plugins that are kept out before they are imported, and local files that are taken in."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jepa_core.cli import main
from jepa_core.errors import PluginError
from jepa_core.presentation.training_screen import TrainingScreen
from jepa_core.registry import PluginChoice, discover, installed
from jepa_core.run_directory.recorded_files import kept_out_flags, plugin_flags, with_plugin_flags
from tests.plugins.distributions import COMPONENT, PREFIX, SitePackages, on_the_path

Jepa = Callable[..., int]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SitePackages]:
    """A folder for distributions."""
    yield on_the_path(tmp_path / "site", monkeypatch)
    installed.cache_clear()


@pytest.fixture
def local_file(tmp_path: Path) -> Path:
    path = tmp_path / "my_mean.py"
    path.write_text(COMPONENT.format(kind="mine"))
    return path


@pytest.fixture
def jepa() -> Iterator[Jepa]:
    """Calls the program with these arguments, and returns its exit code."""

    def call(*arguments: object) -> int:
        # Each command is a process of its own.
        installed.cache_clear()
        with pytest.raises(SystemExit) as done:
            main([str(argument) for argument in arguments])
        assert isinstance(done.value.code, int)
        return done.value.code

    yield call
    installed.cache_clear()


@pytest.mark.parametrize("name", ["jepa-bad", "jepa_Bad", "bad"])
@pytest.mark.parametrize("variable", [False, True])
def test_a_blocked_plugin_is_not_imported_and_is_shown(site: SitePackages, name: str, variable: bool) -> None:
    site.put("bad", "raise SystemExit(1)")
    if variable:
        choice = PluginChoice.of(environment={"JEPA_DISABLE_PLUGINS": f" other, {name},"})
    else:
        choice = PluginChoice.of(blocked=(name,), environment={})
    registry = discover(choice=choice)
    assert f"{PREFIX}bad" not in sys.modules
    assert registry.broken == ()
    (blocked,) = registry.blocked
    assert (blocked.distribution, blocked.version) == ("jepa-bad", "1.0")
    assert name in blocked.cause
    assert name in blocked.remedy


def test_blocking_shows_in_the_list_and_in_a_recipe_that_wants_the_plugin(
    site: SitePackages,
    jepa: Jepa,
    tiny_recipe_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site.put("mine", COMPONENT.format(kind="mine"))
    monkeypatch.setenv("JEPA_DISABLE_PLUGINS", "jepa-mine")
    assert jepa("plugins") == 0
    assert "not imported, by JEPA_DISABLE_PLUGINS=jepa-mine" in " ".join(capsys.readouterr().out.split())
    assert jepa("recipe", "check", tiny_recipe_file, "--set", "aggregator.kind=mine") == 2
    assert "jepa-mine 1.0 may offer it: not imported, by" in " ".join(capsys.readouterr().out.split())
    assert jepa("plugins", "show", "mine") == 2
    assert "jepa-mine is blocked and may offer it" in capsys.readouterr().err


def test_blocking_a_name_that_is_no_plugins_is_an_error(jepa: Jepa, capsys: pytest.CaptureFixture[str]) -> None:
    assert jepa("plugins", "list", "--no-plugin", "jepa-typo") == 1
    assert "--no-plugin jepa-typo: there is no plugin of this name. Installed: " in capsys.readouterr().err


def test_a_local_file_is_loaded_with_its_path_as_origin(
    local_file: Path, jepa: Jepa, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = discover(choice=PluginChoice(files=(local_file,)))
    component = registry.get("aggregator", "mine")
    assert component is not None
    assert component.origin == str(local_file)
    assert not (local_file.parent / "__pycache__").exists()
    assert jepa("plugins", "show", "mine", "--plugin", local_file) == 0
    assert "A mean that somebody else wrote" in capsys.readouterr().out
    assert jepa("plugins", "show", "mine") == 2, "only where it is asked for"
    capsys.readouterr()
    assert jepa("recipe", "schema", "--plugin", local_file) == 0
    assert "aggregator.mine" in json.loads(capsys.readouterr().out)["$defs"]


def test_a_changed_local_file_is_another_module(local_file: Path) -> None:
    discover(choice=PluginChoice(files=(local_file,)))
    local_file.write_text(COMPONENT.format(kind="other"))
    registry = discover(choice=PluginChoice(files=(local_file,)))
    assert registry.get("aggregator", "other") is not None
    assert registry.get("aggregator", "mine") is None


@pytest.mark.parametrize("name", ["missing.py", "folder.py", "text.txt"])
def test_a_local_file_that_cannot_be_one_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "text.txt").write_text("")
    with pytest.raises(PluginError, match=r"--plugin .*(cannot be read|expected a Python file)"):
        discover(choice=PluginChoice(files=(tmp_path / name,)))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("my-loss.py", "it holds '-'"),
        ("2nd.py", "it begins with '2'"),
        ("my loss.v2.py", "it holds ' ', '.'"),
        ("Ã¼.py", "it holds '¼'"),  # ü.py, read as Latin-1
        (os.fsdecode(b"\xfc.py"), "it holds bytes that are no text in this terminal's encoding"),
    ],
)
def test_a_python_file_whose_name_is_no_modules_is_told_so(tmp_path: Path, name: str, why: str) -> None:
    (path := tmp_path / name).write_text("")
    with pytest.raises(PluginError) as caught:
        discover(choice=PluginChoice(files=(path,)))
    assert f"can be no module's name in Python: {why}. Rename the file" in str(caught.value)


def test_a_module_may_have_letters_of_any_alphabet(tmp_path: Path) -> None:
    (path := tmp_path / "fröhlich.py").write_text(COMPONENT.format(kind="mine"))
    assert discover(choice=PluginChoice(files=(path,))).get("aggregator", "mine") is not None


def test_an_exception_without_a_text_is_named_alone(
    local_file: Path, jepa: Jepa, tiny_recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local_file.write_text("raise Exception")
    assert jepa("recipe", "check", tiny_recipe_file, "--plugin", local_file) == 1
    assert capsys.readouterr().err.startswith(f"--plugin {local_file}: Exception.")


def test_a_broken_local_file_stops_what_would_use_it_and_is_listed(
    local_file: Path, jepa: Jepa, tiny_recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local_file.write_text("import no_such_module")
    assert jepa("recipe", "check", tiny_recipe_file, "--plugin", local_file) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"--plugin {local_file}: ModuleNotFoundError")
    assert "Remedy: install the package that no_such_module comes from" in error
    assert jepa("plugins", "list", "--broken", "--json", "--plugin", local_file) == 0
    assert str(local_file) in {plugin["distribution"] for plugin in json.loads(capsys.readouterr().out)["broken"]}


@pytest.fixture
def interrupted_run(
    local_file: Path, jepa: Jepa, site: SitePackages, tiny_recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A run with the component of the local file and without a plugin that is installed, stopped in its second step."""
    site.put("bad", "raise SystemExit(1)")
    progress = TrainingScreen.progress

    def progress_and_stop(screen: TrainingScreen, step: int, epoch: float) -> None:
        progress(screen, step, epoch)
        if step == 1:
            signal.raise_signal(signal.SIGTERM)

    runs = local_file.parent / "runs"
    flags = ("--set", "aggregator.kind=mine", "--runs-dir", runs, "--device", "cpu")
    with monkeypatch.context() as patched:
        patched.setattr(TrainingScreen, "progress", progress_and_stop)
        assert jepa("run", tiny_recipe_file, *flags, "--plugin", local_file, "--no-plugin", "jepa-bad") == 143
    (run,) = runs.iterdir()
    return run


def test_an_interrupted_run_says_to_give_the_file_again(
    request: pytest.FixtureRequest, local_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = request.getfixturevalue("interrupted_run")
    out = capsys.readouterr().out
    assert f"jepa run --resume {run} --plugin {local_file} --no-plugin bad\n" in out
    assert re.search(rf"jepa audit \S+ --set aggregator.kind=mine --plugin {local_file} --no-plugin jepa-bad\n", out)


def next_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The command that a verdict ends with."""
    (command,) = re.findall(r"^Next: (jepa .*)$", capsys.readouterr().out, re.MULTILINE)
    return str(command)


def test_commands_on_a_run_keep_out_what_its_last_command_kept_out_as_long_as_it_is_installed(
    interrupted_run: Path, site: SitePackages, local_file: Path, jepa: Jepa, capsys: pytest.CaptureFixture[str]
) -> None:
    site.put("other", "raise SystemExit(1)")
    plugin = f" --plugin {local_file}"
    assert plugin_flags(interrupted_run) == f"{plugin} --no-plugin bad"
    assert kept_out_flags(interrupted_run) == ["--no-plugin=bad"]
    command = "jepa eval mine --no-plugin bad  # why"
    assert with_plugin_flags(command, interrupted_run) == f"jepa eval mine{plugin} --no-plugin bad  # why"
    rolled_back = ("--to", "1", "--set", "train.clip_norm=2", "--plugin", local_file, "--no-plugin", "other")
    assert jepa("rollback", interrupted_run, *rolled_back) == 0
    (child,) = [run for run in interrupted_run.parent.iterdir() if run != interrupted_run]
    assert next_of(capsys).endswith(f"--plugin {local_file} --no-plugin other")
    shutil.rmtree(site.folder)
    assert plugin_flags(interrupted_run) == plugin_flags(child) == plugin


def test_a_run_that_is_resumed_without_a_plugin_says_so_from_then_on(
    interrupted_run: Path, site: SitePackages, local_file: Path, jepa: Jepa, capsys: pytest.CaptureFixture[str]
) -> None:
    site.put("other", "raise SystemExit(1)")
    assert jepa("run", "--resume", interrupted_run, "--plugin", local_file, "--no-plugin", "other") == 0
    assert next_of(capsys).endswith(f"--plugin {local_file} --no-plugin other")


def test_a_child_needs_the_files_that_its_own_change_was_made_with(
    tiny_recipe_file: Path, local_file: Path, jepa: Jepa
) -> None:
    runs = tiny_recipe_file.parent / "runs"
    assert jepa("run", tiny_recipe_file, "--runs-dir", runs, "--no-audit") == 0
    (parent,) = runs.iterdir()
    change = ("--to", "0", "--set", "aggregator.kind=mine", "--plugin", local_file)
    assert jepa("rollback", parent, *change) == 0
    (child,) = [run for run in runs.iterdir() if run != parent]
    assert plugin_flags(child) == f" --plugin {local_file}"


def test_a_run_records_its_local_file_and_needs_it_again_to_go_on(
    interrupted_run: Path, local_file: Path, jepa: Jepa, capsys: pytest.CaptureFixture[str]
) -> None:
    run = interrupted_run
    (recorded,) = json.loads((run / "environment.json").read_bytes())["plugin_files"]
    assert recorded == {"path": str(local_file), "sha256": hashlib.sha256(local_file.read_bytes()).hexdigest()}

    capsys.readouterr()
    assert jepa("run", "--resume", run) == 1
    assert f"has to be given again: --plugin {local_file}" in capsys.readouterr().err
    assert jepa("eval", run) == 1
    source = local_file.read_text()
    local_file.write_text(source + "\n")
    assert jepa("run", "--resume", run, "--plugin", local_file) == 1
    assert "another version of" in capsys.readouterr().err
    local_file.write_text(source)
    assert jepa("run", "--resume", run, "--plugin", local_file) == 0
    assert jepa("eval", run, "--plugin", local_file, "--device", "cpu") == 0


def test_what_to_type_instead_of_a_resume_with_a_change_has_the_plugins_that_were_given(
    jepa: Jepa, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--set", "train.epochs=3", "--plugin", "my parts.py", "--no-plugin", "slow")
    assert jepa("run", "quickstart", "--resume", "mine", *flags) == 2
    said = capsys.readouterr().err
    plugins = "--set train.epochs=3 --plugin 'my parts.py' --no-plugin slow"
    assert f"jepa rollback mine --to STEP {plugins}\n" in said
    assert f"jepa run quickstart {plugins}\n" in said
