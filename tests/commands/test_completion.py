"""What TAB offers: in this process, in the shells themselves, and once installed by one command."""

from __future__ import annotations

import json
import os
import pty
import select
import shlex
import shutil
import signal
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


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anything in it, to which the shells and the command go."""
    home = tmp_path / "home"
    (home / "work" / "runs dir").mkdir(parents=True)
    (home / "work" / "mine.toml").touch()
    (home / "work" / "a recipe.toml").touch()
    (home / "work" / "data.npy").touch()
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR", "ENV", "BASH_ENV"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")
    return home


LINES = {
    "jepa run quicks": "jepa run quickstart ",
    "true; jepa run --set aggregator.ki": "true; jepa run --set aggregator.kind=",
    "jepa run digits --set aggregator.kind=me": "jepa run digits --set aggregator.kind=mean ",
    "jepa run digits --set=aggregator.kind=me": "jepa run digits --set=aggregator.kind=mean ",
    "jepa run digits --set data.path=~/wo": "jepa run digits --set data.path=~/work/",
    "jepa run digits --set data.path=da": "jepa run digits --set data.path=data.npy ",
    "jepa run digits --set=data.path=da": "jepa run digits --set=data.path=data.npy ",
    "jepa recipe check mi": "jepa recipe check mine.toml ",
    "jepa run a\\ re": "jepa run a\\ recipe.toml ",
    "jepa eval --runs-dir ru": "jepa eval --runs-dir runs\\ dir/",
}
"""What is typed before a TAB, and the line after it."""


@pytest.mark.parametrize("shell", ["bash", pytest.param("zsh", marks=pytest.mark.slow)])
def test_a_line_is_completed_in_a_shell(home: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    subprocess.run(["jepa", "completion", shell], check=True, stdout=subprocess.DEVNULL)
    process, screen = pty.fork()
    if process == 0:
        os.chdir(home / "work")
        os.execvp(shell, [shell, "-i"])
    try:
        # Those of bash are typed in every test run, and a few will do.
        for typed, line in list(LINES.items())[:: 2 if shell == "bash" else 1]:
            os.write(screen, f"{typed}\t".encode())
            assert line in _shown(screen, line)
            os.write(screen, b"\x15")  # Ctrl-U: an empty line again
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(screen)


NAMES = [
    b"a `touch ran`$(touch ran)$HOME;touch ran;*!!&",
    b"b\n\x1bc",
    b"\xff e",
    b"~root",
    b"!f",
    b"'\"g\\",
]
"""What a shell would act on, or could not show."""


@pytest.mark.parametrize("mark", ["", "'", '"'], ids=["bare", "single", "double"])
def test_a_name_reaches_the_program_as_it_is_from_bash(home: Path, mark: str) -> None:
    subprocess.run(["jepa", "completion", "bash"], check=True, stdout=subprocess.DEVNULL)
    with (home / ".bashrc").open("a", encoding="utf-8") as startup:
        startup.write("said() { printf '%s\\0' \"$@\" > ../said; echo '<'done'>'; }\ncomplete -F _jepa said\n")
    work = os.fsencode(home / "work")
    typed = {}
    for place, name in enumerate(NAMES):
        Path(os.fsdecode(work + b"/in/%d/" % place + name)).mkdir(parents=True)
        typed[f"said eval {mark}in/{place}/\t"] = b"eval\0in/%d/" % place + name + b"/\0"
    record_run(home / "work" / "runs" / "mad `touch ran`$HOME", [validation(1, 1.0, 0.4)])
    typed[f"said verdict {mark}ma\t"] = b"verdict\0mad `touch ran`$HOME\0"
    if not mark:
        typed["said eval in/0/a\\ \\`\t"] = b"eval\0in/0/" + NAMES[0] + b"/\0"
        (home / "work" / "-i").mkdir()
        typed["said eval ./-\t"] = b"eval\0./-i/\0"
    process, screen = pty.fork()
    if process == 0:
        os.chdir(home / "work")
        os.execvp("bash", ["bash", "-i"])
    try:
        for line, words in typed.items():
            os.write(screen, f"{line}\n".encode())
            assert "<done>" in _shown(screen, "<done>"), line
            assert (home / "said").read_bytes() == words
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(screen)
    assert not (home / "work" / "ran").exists()


def _shown(screen: int, awaited: str) -> str:
    """What a shell writes until the awaited text is there, or nothing comes any more."""
    shown = ""
    while awaited not in shown and select.select([screen], [], [], 20)[0]:
        shown += os.read(screen, 4096).decode()
    return shown


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not here")
@pytest.mark.parametrize("line", LINES)
def test_a_line_is_completed_in_fish(home: Path, line: str) -> None:
    subprocess.run(["jepa", "completion", "fish"], check=True, stdout=subprocess.DEVNULL)
    asked = ["fish", "--command", f"complete -C {shlex.quote(line)}"]
    found = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60, cwd=home / "work").stdout
    last = LINES[line].rstrip().replace("\\ ", "\0").rpartition(" ")[2].replace("\0", " ")
    assert last in [each.partition("\t")[0] for each in found.splitlines()]


@pytest.mark.parametrize(("shell", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
def test_a_script_is_the_shell_s(capsys: pytest.CaptureFixture[str], tmp_path: Path, shell: str, check: str) -> None:
    with pytest.raises(SystemExit):
        main(["completion", shell, "--print"])
    (tmp_path / "script").write_text(capsys.readouterr().out, encoding="utf-8")
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    subprocess.run([shell, check, tmp_path / "script"], check=True, timeout=60)


def test_it_is_installed_once_and_says_where(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".zshrc").write_text("export A=1", encoding="utf-8")
    for shell, startup in (("bash", ".bashrc"), ("zsh", ".zshrc"), ("fish", None)):
        said = []
        for _ in range(2):
            with pytest.raises(SystemExit) as ended:
                main(["completion", shell])
            assert ended.value.code == 0
            said.append(capsys.readouterr().out)
        assert said[0].startswith(f"Wrote {home}/.")
        assert said[0].endswith(f"A new shell has it; this one after: exec {shell}\n")
        assert (f", and a line in {home}/{startup} that reads it" in said[0]) == (startup is not None)
        assert "that reads it" not in said[1]
    assert (home / ".zshrc").read_text(encoding="utf-8").count("completion.zsh ] && ") == 1
    assert (home / ".zshrc").read_text(encoding="utf-8").startswith("export A=1\n[ -r ")


def test_what_cannot_be_installed_is_said(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["completion", *arguments])
        return f"{ended.value.code} {capsys.readouterr().err}"

    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert said().startswith("2 SHELL is 'tcsh': give the shell's name.")
    monkeypatch.delenv("SHELL")
    assert said().startswith("2 SHELL is not set: give the shell's name.")
    (home / ".zshrc").mkdir()
    assert said("zsh").startswith(f"1 {home}/.zshrc cannot be read and written: it is no plain file.\n")
    os.mkfifo(home / ".bashrc")
    assert said("bash").startswith(f"1 {home}/.bashrc cannot be read and written: it is no plain file.\n")
    script = home / ".local" / "share" / "jepa" / "completion.bash"
    script.unlink()
    os.mkfifo(script)
    assert said("bash").startswith(f"1 {script} cannot be read and written: it is no plain file.\n")


def test_a_startup_file_keeps_its_bytes_and_its_place(home: Path) -> None:
    kept = home / "dotfiles"
    kept.write_bytes(b"# caf\xe9\r\nexport A=1")
    (home / ".bashrc").symlink_to(kept)
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main(["completion", "bash"])
        assert ended.value.code == 0
    before, _, added = kept.read_bytes().partition(b"\xe9\r\nexport A=1\n")
    assert (before, added.count(b"\n")) == (b"# caf", 1)
    assert (home / ".bashrc").is_symlink()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HOME", "home", "HOME is 'home': give it a whole path"),
        ("HOME", "{}/a\nb", "HOME leads to '"),
        ("XDG_DATA_HOME", "{}/a\nb", "XDG_DATA_HOME leads to '"),
    ],
)
def test_a_home_that_no_line_can_name_is_refused(home: Path, variable: str, value: str, said: str) -> None:
    before = sorted(home.rglob("*"))
    asked = subprocess.run(
        ["jepa", "completion", "bash"],
        env={**os.environ, variable: value.format(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert asked.returncode == 2
    assert asked.stderr.startswith(said)
    assert sorted(home.rglob("*")) == before
