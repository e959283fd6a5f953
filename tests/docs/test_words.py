"""One word for each thing: no page, help text or description of a setting has a word that the glossary refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.reference_pages.pages import PAGES

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"

IN_HOUSE = (
    "taken back",
    "takes back",
    "took back",
    "what is told",
    "told of",
    "tells of",
    "the seed's",
    "handed down",
    "everybody's word",
    "others' word",
)
"""Turns of phrase that only those understand who wrote them."""

TOLD = r"(?:is|are) told(?! apart| from)"
"""Things are named, shown or given; only what is told apart is told."""

ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]*) ?\|$", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
REFUSED = [word for *_, other in ROWS for word in other.strip().split(", ") if word and word not in ("not", "---")]


def written() -> Iterator[tuple[str, str]]:
    """All pages that a user reads, by name, without code; those of the reference have settings and help texts."""
    for path in (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"):
        if path != GLOSSARY:
            yield path.name, re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)
    for name, page in PAGES.items():
        yield name, page()


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The texts, in small letters and on one line."""
    return {name: " ".join(text.lower().split()) for name, text in written()}


def test_the_glossary_refuses_some_words() -> None:
    assert {"snapshot", "teacher", "hard candidates", "equal cells"} - set(REFUSED) == {"equal cells"}


def test_no_text_has_a_word_that_the_glossary_refuses(pages: dict[str, str]) -> None:
    refused = re.compile(rf"\b(?:{'|'.join([TOLD, *map(re.escape, (*REFUSED, *IN_HOUSE))])})\b")
    found = [
        f"{name}: …{text[max(m.start() - 40, 0) : m.end() + 20]}…"
        for name, text in pages.items()
        for m in refused.finditer(text)
    ]
    assert found == []


def test_no_command_names_a_run_by_a_start_that_others_share() -> None:
    """The year in a run's name is that of every run of its recipe."""
    files = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", *(ROOT / "jepa_core").rglob("*.py")]
    files += (ROOT / "monitor").rglob("*.py")
    shared = re.compile(r"jepa [a-z]+ [^\n`]*\b[a-z_]+-20\d\d(?![\d-])")
    found = {path.name: shared.findall(path.read_text(encoding="utf-8")) for path in files}
    assert {name: commands for name, commands in found.items() if commands} == {}


def test_a_word_is_explained_once() -> None:
    words = [word for word, *_ in ROWS if word not in ("word", "---")]
    assert len(words) == len(set(words)) > 50
