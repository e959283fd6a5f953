"""What TAB does in the shells themselves, and how it is installed there by one command."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jepa_core.cli import main
from tests.run_directory.runs import record_run, validation


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
