"""What mkdocs runs when it builds the site: pages that are written from the program, and links that leave docs/.

Pages of the repository's root, such as the changelog, stand in the site under their names. A link to a file of the
source becomes its path, since the site has no source; one to a file that is not there stops the build.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

FROM_ROOT = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
}
"""Page of the site → file of the repository."""

NOT_ALWAYS_THERE = ("security.md", "reliability.md")

_LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> Any:
    """Leave pages out of the navigation whose file this copy of the repository does not have."""
    for section in config["nav"]:
        for entries in section.values():
            if isinstance(entries, list):
                entries[:] = [entry for entry in entries if not _is_missing(*entry.values())]
    return config


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages of the reference, and those of the repository's root."""
    from docs.reference_pages.pages import PAGES

    for uri, page in PAGES.items():
        files.append(File.generated(config, uri, content=page()))
    for uri, name in FROM_ROOT.items():
        if (ROOT / name).is_file():
            content = (ROOT / name).read_text(encoding="utf-8")
            files.append(File.generated(config, uri, content=within_docs(content)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Links to source as paths."""
    del config, files
    return without_source_links(markdown, page.file.src_uri)


def within_docs(text: str) -> str:
    """A page of the repository's root with its links as they are from docs/."""
    return re.sub(r"\]\((?:docs/|(?=\w+/))", lambda found: "](" if "docs/" in found[0] else "](../", text)


def without_source_links(markdown: str, uri: str) -> str:
    """The page with links to files outside docs/ as the files' paths, or as links to their pages.

    Raises:
        PluginError: a file is not there.
    """

    def replaced(link: re.Match[str]) -> str:
        shown, target, anchor = link[1], link[2], link[3] or ""
        if not target.startswith("../") or uri.startswith("reference/"):
            return link[0]
        path = target.removeprefix("../")
        if not (ROOT / path).exists():
            raise PluginError(f"{uri}: the link to {target} leads nowhere.")
        pages = {name: page for page, name in FROM_ROOT.items()}
        return f"[{shown}]({pages[path]}{anchor})" if path in pages else f"`{path}`"

    return _LINK.sub(replaced, markdown)


def _is_missing(page: Any) -> bool:
    if page not in NOT_ALWAYS_THERE:
        return False
    return not (ROOT / FROM_ROOT.get(page, f"docs/{page}")).is_file()
