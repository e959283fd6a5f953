"""The built site: warnings are errors, and everything that the program has is found in its pages."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

from docs.reference_pages.pages import PAGES
from docs.reference_pages.program import FILES
from docs.reference_pages.watching import EVENTS
from jepa_core.cli import COMMANDS
from jepa_core.hookspecs import FAMILIES
from jepa_core.metrics import ENGINE_METRICS
from jepa_core.recipes.engine_tables import ENGINE_TABLES
from jepa_core.recipes.field_descriptions import describe_fields
from jepa_core.registry import installed
from jepa_core.watch.expressions import FUNCTIONS
from jepa_core.watch.verdict import Outcome

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    find_spec("material") is None, reason="the site needs pip install -c constraints.txt -e '.[docs]'"
)


COMMAND = re.findall(r"^\t.*/(mkdocs build .*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[
    0
].split()
"""What `make docs` runs."""


def build(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Build the site as `make docs` does, into a folder of its own."""
    command = [sys.executable, "-m", *COMMAND, "--site-dir", str(folder), *more]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=280)


def built_pages(folder: Path) -> dict[str, str]:
    """The pages of a new build, with their tags taken out, by their place below docs/."""
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {}
    for path in folder.rglob("*.html"):
        content = path.read_text(encoding="utf-8").partition("<article")[2].partition("</article>")[0]
        pages[path.relative_to(folder).with_suffix(".md").as_posix()] = html.unescape(re.sub(r"<[^>]+>", "", content))
    return pages


def test_the_site_is_built_without_a_warning_and_holds_what_the_program_has(tmp_path: Path) -> None:
    pages = built_pages(tmp_path)
    components = installed().components.values()
    fields = [field for owner in ENGINE_TABLES.values() for field in describe_fields(owner)]
    owned = [(c.family, field) for c in components for field in describe_fields(c.config_class)]
    outcomes = ("0", "1", "2", "3", "4", "130", "143", *get_args(Outcome))
    expected = {
        "reference/recipes.md": [part for field in fields for part in (field.key, " ".join(field.meaning.split()))],
        "reference/components.md": [field.key for family, field in owned if family != "scenario"],
        "reference/scenarios.md": [
            *(field.key for family, field in owned if family == "scenario"),
            *(c.name for c in components if c.family == "scenario"),
        ],
        "reference/metrics.md": [metric.name for metric in ENGINE_METRICS],
        "reference/nulls.md": [c.name for c in components if c.family == "null"],
        "reference/rules.md": list(FUNCTIONS),
        "reference/events.md": list(EVENTS),
        "reference/commands.md": [f"jepa {name}" for name in COMMANDS],
        "reference/run-directory.md": list(FILES),
        "reference/plugin-contract.md": list(FAMILIES),
        "outcomes.md": list(outcomes),
    }
    assert set(PAGES) <= pages.keys()
    for page, names in expected.items():
        shown = pages[page].replace("\\", "").replace("`", "")
        assert [name for name in names if name.replace("`", "") not in shown] == [], page
    # A table or a heading that Markdown did not read leaves its signs.
    for page, shown in pages.items():
        prose = re.sub(r"^.*(jepa|[│╭╰]).*$", "", shown, flags=re.MULTILINE)
        assert "| --- |" not in prose, page
        assert not re.search(r"\{ #[\w-]+ \}|&#\d+;|</?code>", prose), page
    linked = re.findall(r'(?:href|src)="(https?://[^"]+)"', (tmp_path / "index.html").read_text(encoding="utf-8"))
    assert linked == [], "a page loads or links to something elsewhere"


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("[a](other.md#there)", ""),
        ("[a](other.md#nowhere)", "#nowhere"),
        ("[a](nowhere.md)", "nowhere.md"),
        ("[a](../jepa_core/nowhere.py)", "leads nowhere"),
        ("[a](../jepa_core/cli.py)", ""),
    ],
)
def test_a_link_that_leads_nowhere_stops_the_build(page: str, complaint: str, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text(f"# Home\n\n{page}\n", encoding="utf-8")
    (docs / "other.md").write_text("# Other\n\n## There\n", encoding="utf-8")
    hook = tmp_path / "hooks.py"
    hook.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom docs.hooks import on_page_markdown\n", encoding="utf-8"
    )
    config = tmp_path / "mkdocs.yml"
    inherited: dict[str, Any] = {"INHERIT": str(ROOT / "mkdocs.yml"), "docs_dir": str(docs), "hooks": [str(hook)]}
    inherited |= {"nav": [{"Home": "index.md"}, {"Other": "other.md"}], "extra_css": []}
    config.write_text(json.dumps(inherited), encoding="utf-8")
    done = build(tmp_path / "site", "--config-file", str(config))
    said = done.stdout + done.stderr
    assert (done.returncode != 0) == bool(complaint), said
    assert complaint in said
