"""The commit of a checkout, which may be a stranger's: it is read, and nothing of it is run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jepa_core.run_directory.commit import commit_of
from jepa_core.run_directory.environment import describe_environment

HASH = "0123456789abcdef0123456789abcdef01234567"
OTHER = HASH[::-1]


def git(folder: Path, *arguments: str) -> str:
    named = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "tracked").write_text("a")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def packed(folder: Path) -> None:
    git(folder, "pack-refs", "--all")
    assert not (folder / ".git/refs/heads/main").exists()


def detached(folder: Path) -> None:
    git(folder, "checkout", "-q", "--detach")


def on_a_branch_with_folders(folder: Path) -> None:
    git(folder, "checkout", "-q", "-b", "feature/of.mine/x-1")


@pytest.mark.parametrize("change", [lambda _: None, packed, detached, on_a_branch_with_folders])
def test_it_is_what_git_says(checkout: Path, change: Callable[[Path], None]) -> None:
    change(checkout)
    assert commit_of(checkout) == git(checkout, "rev-parse", "HEAD")
    (checkout / "below" / "deeper").mkdir(parents=True)
    assert commit_of(checkout / "below" / "deeper") == git(checkout, "rev-parse", "HEAD")


@pytest.mark.parametrize("change", [lambda _: None, packed])
def test_in_a_worktree_and_a_submodule_it_is_theirs(
    checkout: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    git(checkout, "worktree", "add", "-q", "-b", "other", str(tmp_path / "worktree"))
    git(tmp_path / "worktree", "commit", "-q", "--allow-empty", "-m", "second")
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(checkout), "inner")
    change(checkout)
    for folder in (tmp_path / "worktree", outer / "inner"):
        assert (folder / ".git").is_file()
        assert commit_of(folder) == git(folder, "rev-parse", "HEAD")
    assert commit_of(tmp_path / "worktree") != commit_of(checkout)


def test_without_a_checkout_or_a_commit_there_is_none(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == ""
    git(tmp_path, "init", "-q")
    assert commit_of(tmp_path) == ""


@pytest.mark.parametrize("indirectly", [False, True])
def test_no_program_that_a_checkout_names_is_run(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indirectly: bool
) -> None:
    ran = tmp_path / "ran"
    hostile = f'[core]\n\tfsmonitor = "touch {ran}; false"\n\thooksPath = {tmp_path}\n'
    if indirectly:
        (tmp_path / "more").write_text(hostile)
        hostile = f"[include]\n\tpath = {tmp_path / 'more'}\n"
    with (checkout / ".git/config").open("a") as config:
        config.write(hostile)
    monkeypatch.chdir(checkout)
    environment = describe_environment(["jepa"])
    assert not ran.exists()
    assert environment["commit"] == (checkout / ".git/refs/heads/main").read_text().strip()
    # The configuration would have: git itself runs it.
    subprocess.run(["git", "status", "--porcelain"], check=False, capture_output=True)
    assert ran.exists()


def repository(folder: Path, **files: str) -> Path:
    """A `.git` made by hand."""
    for name, content in {"HEAD": "ref: refs/heads/main", **files}.items():
        path = folder / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


@pytest.mark.parametrize(
    "files",
    [
        {"HEAD": "ref: ../../secret"},
        {"HEAD": "ref: refs/../../../secret"},
        {"HEAD": "ref: /etc/passwd"},
        {"HEAD": "ref: refs/heads/.invalid"},
        {"HEAD": "ref: refs/heads/a\0b"},
        {"HEAD": "ref: refs/heads/main", "refs/heads/main": "ref: refs/heads/main"},
        {"HEAD": "ref: refs/heads/main", "refs/heads/main": "not a hash"},
        {"HEAD": HASH[1:]},
        {"HEAD": HASH + "x" * 5000},
        {"HEAD": "\x1b[2J"},
        {"commondir": "a\0b"},
        {"packed-refs": f"{HASH} refs/heads/another\n{'x' * 100_000} refs/heads/main\n"},
    ],
    ids=str,
)
def test_what_is_no_commit_is_none(tmp_path: Path, files: dict[str, str]) -> None:
    (tmp_path / "secret").write_text(HASH)
    assert commit_of(repository(tmp_path / "checkout", **files)) == ""


def test_a_name_among_packed_ones_is_found_whole(tmp_path: Path) -> None:
    lines = [f"{OTHER} refs/heads/main-2", f"{OTHER} refs/heads/mainxb", f"{HASH} refs/heads/main.b", f"^{OTHER}"]
    folder = repository(tmp_path, HEAD="ref: refs/heads/main.b", **{"packed-refs": "\n".join(["# pack", *lines, ""])})
    assert commit_of(folder) == HASH


@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("name", ["", "HEAD", "commondir", "refs/heads/main", "packed-refs"])
def test_nothing_waits_for_a_pipe_or_reads_a_device(tmp_path: Path, name: str, put: Callable[[Path], None]) -> None:
    if name:
        repository(tmp_path)
    path = tmp_path / ".git" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    put(path)
    assert commit_of(tmp_path) == ""
