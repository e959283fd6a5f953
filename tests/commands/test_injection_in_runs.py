"""Nothing that a run directory says steers the terminal, over every command that reads one.

Every text of a run is a payload: values and names in its JSON, rules and words of its recipe, its console, its folder's
name. Commands are called where their output goes to a wide terminal, to one of 80 columns, to a pipe, and as JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from jepa_core.recipes.writing import recipe_to_toml
from tests.commands.reading import LOADING, READING, Ways, called, filled_in
from tests.monitor.test_injection import FORBIDDEN, PAYLOADS

PLACES = ("values", "keys", "recipe", "console", "folder")
Screens = dict[str, tuple[bool, int | None]]
SCREENS: Screens = {"wide": (True, 220), "80": (True, 80), "piped": (False, None)}
"""Terminal or not, and how wide."""

FAMILIES = {
    **PAYLOADS,
    "tabs": "a\tb\t\tc",
    "delete": "a\x7fb",
    "surrogate": "a\udc9b2Jb\ud83d",
}
TOGETHER = "".join(payload for family, payload in FAMILIES.items() if family not in ("long", "surrogate"))
OWN = re.compile(r"\x1b\[\?25[lh]|\r(\x1b\[1A)?\x1b\[2K|\x1b\[[0-9;]*m")
"""What rich sends for colours and for a bar that moves."""

JSON_FILES = ("status.json", "environment.json", "verdict.json", "metrics.jsonl", "events.jsonl", "diagnostics.jsonl")

KEPT = {"state", "outcome", "ending", "kind", "hold", "severity", "parent", "host", "data_fingerprint"}
"""Keys whose value decides whether the rest is read at all."""
KEPT_RECIPE = {"kind", "hold", "better", "place", "precision", "device", "when", "doc"}
LONGEST = 100
"""Characters of a payload in a recipe's text."""


def poison_values(run: Path, payload: str) -> None:
    for name in JSON_FILES:
        _rewrite(run / name, lambda node: _values(node, payload))


def poison_keys(run: Path, payload: str) -> None:
    for name in JSON_FILES:
        _rewrite(run / name, lambda node: _keys(node, payload))


def poison_recipe(run: Path, payload: str) -> None:
    """Its texts are short, or it would be too large to be read: one family each, where they come together."""
    families = [text for text in FAMILIES.values() if len(text) < LONGEST] if payload == TOGETHER else [payload]
    coming = itertools.cycle([_encodable(text)[:LONGEST] for text in families])
    table = _recipe(tomllib.loads((run / "recipe.toml").read_text()), coming)
    (run / "recipe.toml").write_text(recipe_to_toml(table), encoding="utf-8")


def poison_console(run: Path, payload: str) -> None:
    said = payload.encode("utf-8", "surrogatepass")
    (run / "console.log").write_bytes(said + b"\n\xff\xfe\x9b2J" + said)


def poison_folder(run: Path, payload: str) -> Path:
    name = payload.replace("\0", "").replace("/", "").encode("utf-8", "replace")[:200].decode(errors="surrogateescape")
    return run.rename(run.with_name(name or "none"))


def poisoned(run: Path, place: str, payload: str) -> Path:
    """The run, with the payload in one of the places."""
    if place == "folder":
        return poison_folder(run, payload)
    {"values": poison_values, "keys": poison_keys, "recipe": poison_recipe, "console": poison_console}[place](
        run, payload
    )
    return run


def _encodable(payload: str) -> str:
    return "".join(letter for letter in payload if unicodedata.category(letter) != "Cs")


def _rewrite(path: Path, change: Any) -> None:
    texts = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    path.write_text("".join(json.dumps(change(json.loads(text))) + "\n" for text in texts))


def _values(node: Any, payload: str) -> Any:
    if isinstance(node, dict):
        return {key: entry if key in KEPT else _values(entry, payload) for key, entry in node.items()}
    if isinstance(node, list):
        return [_values(entry, payload) for entry in node]
    return payload + node if isinstance(node, str) else node


def _keys(node: Any, payload: str) -> Any:
    if isinstance(node, dict):
        known = {key: _keys(entry, payload) for key, entry in node.items()}
        first = next(iter(known.values()), 1.0)
        return {**known, payload: first, f"val.{payload}": first, f"loss.{payload}": 0.5}
    return [_keys(entry, payload) for entry in node] if isinstance(node, list) else node


def _recipe(node: Any, coming: Iterator[str]) -> Any:
    if isinstance(node, dict):
        return {key: entry if key in KEPT_RECIPE else _recipe(entry, coming) for key, entry in node.items()}
    if isinstance(node, list):
        return [_recipe(entry, coming) for entry in node]
    return node + next(coming) if isinstance(node, str) else node


def acting(text: str) -> list[str]:
    """Lines in which something acts, but for what rich itself sends."""
    others = OWN.sub("", text)
    return [line for line in others.split("\n") if any(unicodedata.category(letter) in FORBIDDEN for letter in line)]


@attrs.frozen(kw_only=True)
class Looked:
    """What commands showed."""

    faults: list[str]
    screens: list[str]


def looked_at(run: Path, other: Path, ways: Ways, shown: Screens) -> Looked:
    """All screens, and what is wrong with any of them."""
    found, seen = [], []
    for command, arguments_of in ways.items():
        for arguments in arguments_of:
            typed = [*command, *filled_in(arguments, run, other, other.parent / "new")]
            for screen, (terminal, columns) in shown.items():
                try:
                    ended = called(typed, terminal=terminal, columns=columns)
                    said = ended.said.encode("utf-8", "strict").decode()
                except Exception as error:
                    found.append(f"{command} {arguments} {screen}: {type(error).__name__}: {error}"[:300])
                    continue
                seen.append(said)
                if acting(said):
                    found.append(f"{command} {arguments} {screen}: {acting(said)[0]!r}"[:300])
    return Looked(faults=found, screens=seen)


@pytest.fixture
def run(trained_run: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy, alone in its folder."""
    path = tmp_path / "runs" / "mine-20260101-000000"
    shutil.copytree(trained_run, path)
    before = Path.cwd()
    os.chdir(tmp_path)
    yield path
    os.chdir(before)


@pytest.mark.parametrize("place", PLACES)
def test_what_a_run_says_does_not_act(run: Path, trained_run: Path, place: str) -> None:
    path = poisoned(run, place, TOGETHER)
    looked = looked_at(path, trained_run, READING, {"80": SCREENS["80"]})
    assert looked.faults == []
    assert place == "console" or any("evil" in screen for screen in looked.screens), "it is nowhere to be seen"


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_of_payloads_acts_on_any_screen(run: Path, trained_run: Path, place: str, family: str) -> None:
    path = poisoned(run, place, FAMILIES[family])
    looked = looked_at(path, trained_run, READING, SCREENS)
    assert looked.faults == []
    assert len(looked.screens) == len(SCREENS) * sum(map(len, READING.values()))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("place", PLACES)
def test_what_a_run_says_does_not_act_where_its_model_is_loaded(run: Path, trained_run: Path, place: str) -> None:
    path = poisoned(run, place, TOGETHER)
    assert looked_at(path, trained_run, LOADING, {"80": SCREENS["80"]}).faults == []
