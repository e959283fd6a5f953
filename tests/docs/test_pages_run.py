"""What the pages for readers of a run show is what the program prints; the tutorial's commands run on its data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jepa_core.cli import main
from jepa_core.run_directory.reading import RunReader

DOCS = Path(__file__).parents[2] / "docs"
SMALL = ("train.epochs=1", "train.batch_size=32", "diagnostics.validate_every_epochs=1", "data.stride=7")


def blocks_of(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page, each with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def shape(line: str) -> str:
    """A printed line without its figures."""
    figures = r"none|large|(?:×|< )?[−+\-]?\d[\d,.]*(?: %| s\b| GiB)?"
    return re.sub(r"(?:#\s*)+", "# ", re.sub(figures, "#", " ".join(line.split()))).strip()


def called(arguments: list[str]) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


def flags(*settings: str) -> list[str]:
    return [argument for setting in settings for argument in ("--set", setting)]


def test_the_audit_of_the_page_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    blocks = blocks_of("reading-an-audit.md")
    for language, block in blocks:
        if language == "python":
            exec(compile(block, "docs/reading-an-audit.md", "exec"), {"__name__": "page"})
        elif language == "toml":
            Path("doubled.toml").write_text(block, encoding="utf-8")
    (command,) = (block.split() for language, block in blocks if not language)
    assert called(command[1:]) == 4
    printed = {shape(line) for line in capsys.readouterr().out.splitlines()}
    shown = [line for language, block in blocks if language == "text" for line in block.splitlines() if line.strip()]
    assert len(shown) > 20
    assert [line for line in shown if shape(line) not in printed] == []


def test_the_figures_of_the_page_on_retrieval_are_computed_as_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (_, code), (_, printed) = blocks_of("reading-retrieval.md")[:2]
    exec(compile(code, "docs/reading-retrieval.md", "exec"), {"__name__": "page"})
    assert capsys.readouterr().out == printed


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tutorial's frames, its recipe, and one short run of it."""
    folder = tmp_path_factory.mktemp("dots")
    blocks = blocks_of("your-data.md")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for language, block in blocks:
            if language == "python" and '"dots.npz"' in block:
                exec(compile(block, "docs/your-data.md", "exec"), {"__name__": "page"})
            elif language == "toml" and 'name = "dots"' in block:
                Path("dots.toml").write_text(block, encoding="utf-8")
        assert called(["run", "dots.toml", "--device", "cpu", "--no-audit", *flags(*SMALL)]) in (0, 4)
    return folder


def test_a_verdict_has_the_lines_that_the_page_explains(
    dots: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(dots)
    monkeypatch.setenv("COLUMNS", "160")
    (run,) = Path("runs").iterdir()
    assert called(["verdict", run.name]) in (0, 4)
    printed = capsys.readouterr().out
    (shown,) = (block for language, block in blocks_of("reading-a-verdict.md") if language == "text")
    labels = {line[2:26].strip() for line in shown.splitlines() if re.match(r"  [a-z].*? {3}", line)}
    assert {"must", "retrieval on validation", "near copies", "best checkpoint", "while it ran"} <= labels
    expected = labels - {"the null alone finds"}  # a short run may leave the null nothing to find alone
    assert [label for label in expected if f"  {label}" not in printed] == []
    assert printed.startswith("Verdict: ")
    assert "\nNext: jepa " in printed


COMMANDS = re.findall(r"`(jepa [a-z][^`]*)`", " ".join((DOCS / "your-data.md").read_text(encoding="utf-8").split()))
TYPED = {
    "jepa eval": ["eval", "dots-2", "--device", "cpu", "--set", "data.validation_share=0.05"],
    "jepa audit RECIPE": ["audit", "dots.toml"],
    "jepa monitor": ["monitor", "--once"],
    "jepa eval latest": ["eval", "latest", "--device", "cpu", "--set", "data.validation_share=0.05"],
    "jepa plugins show arrays": ["plugins", "show", "arrays"],
    "jepa run RECIPE --set train.seed=1": [
        "run", "dots.toml", *flags(*SMALL, "train.seed=1"), "--runs-dir", "others", "--device", "cpu", "--no-audit",
    ],
    "jepa ablate RECIPE --vary aggregator.kind=mean,last,attention_pool --seeds 6": [
        "ablate", "dots.toml", "--vary", "aggregator.kind=mean,last", "--seeds", "2", "--dry-run",
    ],
}  # fmt: skip
"""What the tutorial says in passing → the same, small."""


def test_every_command_that_the_tutorial_says_in_passing_is_typed_here() -> None:
    assert set(COMMANDS) == TYPED.keys()


@pytest.mark.parametrize(
    "typed", sorted({tuple(arguments) for arguments in TYPED.values()}), ids=lambda typed: typed[0]
)
def test_a_command_of_the_tutorial_runs(typed: tuple[str, ...], dots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(dots)
    assert called([*typed]) in (0, 4)


def test_the_run_of_the_tutorial_is_kept(dots: Path) -> None:
    (run,) = (dots / "runs").iterdir()
    assert RunReader(run).verdict() is not None
