"""Requests to a run that trains: small files in its `control/` folder, written by anyone, acted on by its trainer.

    control/rollback-ID.json           asked: scenario, to, set, use
    control/rollback-ID.done.json      acted on, with the answer
    control/rollback-ID.refused.json   not acted on, and why

What lies there may be damaged or hostile: it is read within limits, and what is no request is refused in words. The
folder is opened once for each look, and no link is followed, so that nothing outside it is read, written or removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import orjson

from jepa_core.errors import RunDirectoryError
from jepa_core.plain_files import opened_folder, read_plain
from jepa_core.recipes.layout import RECIPE_NAME
from jepa_core.run_directory.clock import SYSTEM_CLOCK, Clock
from jepa_core.run_directory.layout import CONTROL
from jepa_core.run_directory.replacing import replace_in

MAX_BYTES = 64 * 1024
"""Largest request that is read."""
MAX_PENDING = 16
"""Requests that one look takes up; more wait for the next."""

_NAME = re.compile(r"rollback-[A-Za-z0-9_-]{1,80}\.json")
_MAX_TEXT = 200
_MAX_DEPTH = 8


@attrs.frozen(kw_only=True)
class RollbackRequest:
    """What is asked for; see `plan_rollback` for what the fields mean."""

    scenario: str = ""
    to: int | None = None
    set: Mapping[str, Any] = attrs.field(factory=dict)
    """Recipe values, as nested tables."""
    use: str = ""
    """Another recipe, by its bare name."""


@attrs.frozen(kw_only=True)
class PendingRequest:
    """A request that waits for an answer."""

    path: Path
    request: RollbackRequest | None
    """None when it cannot be acted on."""
    refusal: str = ""
    """Why not."""


@attrs.frozen(kw_only=True)
class RequestAnswer:
    """What became of a request."""

    accepted: bool
    message: str
    child: str = ""
    """Name of the run that goes on."""


def write_request(run: Path, request: RollbackRequest, clock: Clock = SYSTEM_CLOCK) -> Path:
    """Ask a run for a rollback; its trainer acts at its next step boundary. Returns the file.

    Raises:
        RunDirectoryError: the request cannot be written, or would be refused as it stands.
    """
    fault = next(_faults(attrs.asdict(request)), "")
    if fault:
        raise RunDirectoryError(f"{run.name} is training, and would refuse this request: {fault}.")
    # Names order by time, and two writers of one microsecond do not meet.
    path = run / CONTROL / f"rollback-{int(clock.now() * 1e6):017d}-{secrets.token_hex(4)}.json"
    try:
        content = orjson.dumps(attrs.asdict(request), option=orjson.OPT_INDENT_2)
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir()
        with opened_folder(path.parent, follow_links=False) as folder:
            replace_in(folder, path.name, content)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written: {error.strerror}.") from error
    except TypeError as error:
        raise RunDirectoryError(f"{path} cannot be written: {error}.") from error
    return path


def pending_requests(run: Path) -> tuple[PendingRequest, ...]:
    """Requests without an answer, oldest first. Never fails: what cannot be read is there with its refusal."""
    try:
        with opened_folder(run / CONTROL, follow_links=False) as folder:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if _NAME.fullmatch(entry.name))
            return tuple(_pending(folder, run / CONTROL / name) for name in names[:MAX_PENDING])
    except OSError:
        return ()


def close_request(path: Path, answer: RequestAnswer) -> Path | None:
    """Put the answer beside the request and take the request away; the file with the answer.

    None when the disk refuses, or when it was taken back meanwhile.
    """
    closed = path.with_name(f"{path.stem}.{'done' if answer.accepted else 'refused'}.json")
    try:
        with opened_folder(path.parent, follow_links=False) as folder:
            request = _pending(folder, path).request
            content = {"request": attrs.asdict(request) if request else None, "answer": attrs.asdict(answer)}
            replace_in(folder, closed.name, orjson.dumps(content, option=orjson.OPT_INDENT_2))
            os.unlink(path.name, dir_fd=folder)
    except OSError:
        return None
    return closed


def answer_late(run: Path, child: str) -> None:
    """Tell those who still wait that the run was rolled back before, and goes on as `child`."""
    message = f"the run was rolled back before: it goes on as {child}"
    for pending in pending_requests(run):
        close_request(pending.path, RequestAnswer(accepted=False, message=message, child=child))


def withdraw(path: Path) -> bool:
    """Take a request back; whether nobody had answered it."""
    try:
        path.unlink()
    except OSError:
        return False
    return True


def answer_to(path: Path) -> RequestAnswer | None:
    """What became of the request that was written to `path`; None while it waits."""
    for ending in ("done", "refused"):
        try:
            with opened_folder(path.parent, follow_links=False) as folder:
                content = _read_bounded(folder, f"{path.stem}.{ending}.json")
            answer = orjson.loads(content)["answer"]
            return RequestAnswer(
                accepted=ending == "done", message=str(answer["message"]), child=str(answer.get("child", ""))
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def _pending(folder: int, path: Path) -> PendingRequest:
    try:
        recorded = orjson.loads(_read_bounded(folder, path.name))
    except OSError as error:
        return PendingRequest(path=path, request=None, refusal=f"it cannot be read: {error.strerror}")
    except ValueError as error:
        return PendingRequest(path=path, request=None, refusal=f"it cannot be read: {error}")
    fault = next(_faults(recorded), "")
    if fault:
        return PendingRequest(path=path, request=None, refusal=fault)
    return PendingRequest(path=path, request=RollbackRequest(**recorded))


def _faults(recorded: Any) -> Iterator[str]:
    if not isinstance(recorded, dict):
        yield "it is no JSON object"
        return
    fields = {field.name for field in attrs.fields(RollbackRequest)}
    yield from (f"{name[:_MAX_TEXT]!r} is no field of a request" for name in sorted(recorded.keys() - fields))
    scenario, to, use = recorded.get("scenario", ""), recorded.get("to"), recorded.get("use", "")
    if not isinstance(scenario, str) or len(scenario) > _MAX_TEXT:
        yield "scenario is not the id of a rule"
    if not (to is None or (isinstance(to, int) and not isinstance(to, bool) and to >= 0)):
        yield "to is not a step"
    if not isinstance(use, str) or (use and RECIPE_NAME.fullmatch(use) is None):
        yield "use is not the bare name of a recipe"
    changes = recorded.get("set", {})
    if not isinstance(changes, dict) or not _is_recipe_value(changes, _MAX_DEPTH):
        yield "set is not a table of recipe values"


def _is_recipe_value(value: Any, depth: int) -> bool:
    if depth < 0:
        return False
    if isinstance(value, dict):
        return all(_is_recipe_value(entry, depth - 1) for entry in value.values())
    if isinstance(value, list):
        return all(_is_recipe_value(entry, depth - 1) for entry in value)
    return isinstance(value, str | int | float)


def _read_bounded(folder: int, name: str) -> bytes:
    """A file within the limit; no link, which could lead elsewhere."""
    return read_plain(Path(name), MAX_BYTES, follow_links=False, folder=folder)
