"""The commands with their help, the files of a run directory, and the door of `import jepa_core as jepa`."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import os
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from cyclopts import App

import jepa_core
from docs.reference_pages.markdown import block, code, table, text
from jepa_core import conformance, exit_codes, facts, hookspecs
from jepa_core.cli import COMMANDS, program
from jepa_core.run_directory import layout
from jepa_monitor.keys import MONITOR_KEYS, PANEL_KEYS, RUN_KEYS, RUNS_KEYS, shown_keys

HELP_COLUMNS = "92"

FILES = {
    layout.RECIPE: "the resolved recipe: every default, every scenario's rules. Running it repeats the run",
    layout.ENVIRONMENT: "versions, device, commit, command line, fingerprint of the data, figures of the nulls",
    layout.METRICS: 'one row of figures a line; numbers that are not finite as "nan", "inf", "-inf"',
    layout.rank_metrics(0).replace("0", "N"): "on several processes, one for each: its own loss, times and memory",
    layout.EVENTS: "what happened, in order ([events](events.md))",
    layout.DIAGNOSTICS: "eigenvalue spectrum, counts of each code, weights over time",
    layout.CONSOLE: "what the run printed",
    layout.STATUS: "state, step, heartbeat, process, exit code",
    layout.VERDICT: "the verdict, when the run has ended",
    layout.CHECKPOINTS: "`step-N/` each: safetensors and JSON with SHA-256 sums, written whole or not at all",
    layout.CONTROL: "requests of the monitor or of `jepa rollback`, read at the end of a step",
    "bad_batches": "the last micro-batches that had a value that is not finite, to look at them again",
    layout.ROLLBACK: "in a run that a rollback made: from which run and step, and why",
    layout.LOCK: "held by the process that trains; a second one is refused",
}
"""File or folder → what it holds."""


def commands_page() -> str:
    """Every command with its help, as it is printed."""
    parts = ["# Commands\n\nEach has `--help`; this page is what that prints.\n"]
    parts.append(
        table(
            ("command", "is for"),
            ((f"[{code(f'jepa {n}')}](#{_anchor([n])})", text(s)) for n, (_, s) in COMMANDS.items()),
        )
    )
    parts.append(
        "## Exit codes\n\n0 is success. What else a command exits with is explained in a line on the standard error, "
        "unless an error's message there says it. "
        "[What they mean for a run](../outcomes.md#outcomes-and-exit-codes).\n"
    )
    parts.append(_exit_codes(exit_codes.OF_ALL))
    for path in command_paths():
        level, name = "##" if len(path) == 1 else "###", " ".join(path)
        parts.append(f"{level} jepa {name}\n\n{block(command_help(path))}")
        if name in exit_codes.OF_COMMANDS:
            parts.append(_exit_codes(exit_codes.OF_COMMANDS[name]))
    return "\n".join(parts)


def _exit_codes(meanings: Mapping[int, exit_codes.Meaning]) -> str:
    rows = [(code(str(number)), text(what), text(remedy)) for number, (what, remedy) in sorted(meanings.items())]
    return table(("exit code", "means", "what to do"), rows)


def command_paths(group: App | None = None) -> Iterator[list[str]]:
    """Every command, groups before their commands, such as ["recipe", "show"]."""
    app = program() if group is None else group
    for name in app:
        if not name.startswith("-"):
            yield [name]
            yield from ([name, *rest] for rest in command_paths(app[name]))


def command_help(path: list[str]) -> str:
    """What `jepa … --help` prints."""
    shown = io.StringIO()
    before = {name: os.environ.get(name) for name in ("COLUMNS", "NO_COLOR")}
    os.environ.update(COLUMNS=HELP_COLUMNS, NO_COLOR="1")
    try:
        with contextlib.redirect_stdout(shown):
            program(path[0])([*path, "--help"])
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
    return "\n".join(line.rstrip() for line in shown.getvalue().splitlines())


def keys_page() -> str:
    """Every key of the monitor, as its help shows them."""
    parts = ["# Monitor keys\n\nKeys can be remapped in the preferences file, by the name in the last column.\n"]
    tables = (("On a run", RUN_KEYS), ("In its panels", PANEL_KEYS), ("On the list of runs", RUNS_KEYS))
    for title, keys in (*tables, ("Everywhere", MONITOR_KEYS)):
        rows = [(" ".join(map(code, shown_keys(key, {}))), text(key.help), code(key.id)) for key in keys]
        parts.append(f"## {title}\n\n{table(('key', 'does', 'name'), rows)}")
    return "\n".join(parts)


def run_directory_page() -> str:
    """The files of a run directory."""
    rows = [(code(f"{name}/" if "." not in name else name), what) for name, what in FILES.items()]
    return f"""# A run directory

`jepa run` makes one folder, `runs/NAME-DATE-TIME` unless `--runs-dir` says otherwise, and writes nothing anywhere
else. It is all that monitor, `jepa check` and every other command read, so it can be copied, kept and looked at on
another machine.

{table(("file", "holds"), rows)}
Nothing in it is code: TOML, JSON and safetensors. A run directory of somebody else can be opened without running
anything of theirs.
"""


def python_page() -> str:
    """Everything behind `import jepa_core as jepa`, with signatures and docstrings."""
    parts = [
        "# Python\n\n`import jepa_core as jepa`. [From Python](../python.md) shows how it is used; this page is made "
        "of the docstrings.\n"
    ]
    for name in jepa_core.__all__:
        found = getattr(jepa_core, name)
        if name == "__version__":
            parts.append(f"## {code('jepa.__version__')} {{ #version }}\n\nThe version, such as {code(found)}.\n")
        elif inspect.isclass(found):
            parts += list(_class_parts(name, found))
        else:
            parts.append(f"## {code(f'jepa.{name}')} {{ #{name} }}\n\n{_callable(f'jepa.{name}', found)}")
    return "\n".join(parts)


def plugin_contract_page() -> str:
    """Hooks, what components are told, and the checks of conformance."""
    hooks = [
        (code(family), code(f"{hook}() -> list[type]"), text(inspect.getdoc(getattr(hookspecs, hook)) or ""))
        for family, hook in hookspecs.HOOKS.items()
    ]
    parts = [
        f"# Hooks, facts and checks\n\nThe contract with plugins, version {hookspecs.CONTRACT_VERSION}, as tables. "
        "[Plugins](../plugins.md) explains it with examples that run.\n",
        "## Hooks\n",
        table(("family", "hook", "what its components build"), hooks),
        "## Facts\n\nWhat `build` gets, by family.\n",
    ]
    parts += [_facts_of(getattr(facts, f"{family.capitalize()}Facts")) for family in hookspecs.HOOKS]
    checks = [
        (
            code(check.name),
            text(check.promise),
            ", ".join(sorted(check.families)) if len(check.families) < len(hookspecs.FAMILIES) else "all",
        )
        for check in conformance.CHECKS
    ]
    parts.append("## Checks\n\n`jepa plugins check NAME` tries each promise of the family's contract.\n")
    parts.append(table(("check", "promise", "families"), checks))
    return "\n".join(parts)


def _anchor(path: list[str]) -> str:
    return "-".join(["jepa", *path])


def _facts_of(owner: type[Any]) -> str:
    meanings = attribute_docs(owner)
    rows = [(code(f.name), code(_type(f.type)), text(meanings.get(f.name, ""))) for f in attrs.fields(owner)]
    return f"### {code(owner.__name__)}\n\n" + (table(("field", "type", "is"), rows) if rows else "No fields.\n")


def attribute_docs(owner: type[Any]) -> dict[str, str]:
    """Field → the text below it, of the class and its bases."""
    found: dict[str, str] = {}
    for each in reversed(owner.__mro__[:-1]):
        if each.__module__.partition(".")[0] != "jepa_core":
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in zip(definition.body, definition.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(below):
                found[field.target.id] = inspect.cleandoc(below.value.value)  # type: ignore[attr-defined]
    return found


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _class_parts(name: str, found: type[Any]) -> Iterator[str]:
    yield f"## {code(f'jepa.{name}')} {{ #{name} }}\n\n{_doc(found)}"
    fields = attribute_docs(found)
    if attrs.has(found):
        rows = [(code(f.name), text(fields[f.name])) for f in attrs.fields(found) if f.name in fields]
        if rows:
            yield table(("field", "is"), rows)
    for member, value in vars(found).items():
        if member.startswith("_") or member in fields or not _is_public(value):
            continue
        shown = code(f"{name}.{member}")
        anchor = f"{{ #{name}-{member} }}"
        if isinstance(value, property):
            yield f"### {shown} {anchor}\n\n{_doc(value.fget)}"
        else:
            yield f"### {shown} {anchor}\n\n{_callable(f'{name}.{member}', value)}"


def _is_public(value: Any) -> bool:
    return isinstance(value, property | staticmethod | classmethod) or inspect.isfunction(value)


def _callable(name: str, found: Any) -> str:
    function = inspect.unwrap(getattr(found, "__func__", found))
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(definition, ast.FunctionDef)
    arguments = [a for a in [*definition.args.posonlyargs, *definition.args.args] if a.arg in ("self", "cls")]
    for argument in arguments:
        if argument in definition.args.posonlyargs:
            definition.args.posonlyargs.remove(argument)
        else:
            definition.args.args.remove(argument)
    returns = f" -> {ast.unparse(definition.returns)}" if definition.returns else ""
    signature = f"{name}({ast.unparse(definition.args)}){returns}"
    if len(signature) > int(HELP_COLUMNS):
        signature = re.sub(r"\((?=\S)", "(\n    ", signature, count=1)
        head, _, rest = signature.partition("\n    ")
        inner, _, end = rest.rpartition(")")
        signature = f"{head}\n    " + ",\n    ".join(_split(inner)) + f",\n){end}"
    return f"{block(signature, 'python')}\n{_doc(function)}"


def _split(arguments: str) -> list[str]:
    """At the commas outside brackets."""
    parts, depth = [""], 0
    for character in arguments:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _doc(found: Any) -> str:
    """A docstring as Markdown: paragraphs, and its sections as lists."""
    doc = inspect.getdoc(found) or ""
    shown = []
    for paragraph in doc.split("\n\n"):
        head, _, rest = paragraph.partition("\n")
        if head in ("Args:", "Raises:", "Returns:"):
            entries = re.split(r"\n(?=    \S)", f"\n{rest}")
            listed = [" ".join(entry.split()) for entry in entries if entry.strip()]
            shown.append(
                f"**{'Arguments' if head == 'Args:' else head[:-1]}**\n\n"
                + "\n".join(f"- {_entry(entry)}" for entry in listed)
            )
        elif paragraph.startswith("    "):
            shown.append(block(textwrap.dedent(paragraph), "python"))
        else:
            shown.append(text(paragraph))
    return "\n\n".join(shown) + "\n"


def _entry(entry: str) -> str:
    name, colon, meaning = entry.partition(": ")
    return f"{code(name)}: {text(meaning)}" if colon else text(entry)
