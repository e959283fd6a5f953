"""What holds for observers: a name is enough to ask for one, and its methods take what they are told."""

from __future__ import annotations

import inspect
import tempfile
from pathlib import Path
from typing import Any

from jepa_core.conformance.trial import Trial
from jepa_core.conformance.violation import require
from jepa_core.contracts import Observer
from jepa_core.facts import ObserverFacts

METHODS = {
    name: list(inspect.signature(method).parameters)[1:]
    for name, method in vars(Observer).items()
    if inspect.isfunction(method) and not name.startswith("_")
}
"""Method → the names of what it is called with."""


def built(trial: Trial) -> None:
    """The defaults build something that is told of a run."""
    observer = _observer(trial)
    offered = METHODS.keys() & set(dir(observer))
    require(bool(offered), f"{type(observer).__name__} has none of the methods {', '.join(METHODS)}")


def called(trial: Trial) -> None:
    """Its methods take what they are called with."""
    observer = _observer(trial)
    for name, arguments in METHODS.items():
        method = getattr(observer, name, None)
        if method is None:
            continue
        require(callable(method), f"{name} is {method!r}, which cannot be called")
        signature = inspect.signature(method)
        try:
            signature.bind(*arguments)
        except TypeError as error:
            require(False, f"{name} takes {signature}, and is called with ({', '.join(arguments)}): {error}")


def _observer(trial: Trial) -> Any:
    with tempfile.TemporaryDirectory(prefix="jepa-conformance-") as folder:
        return trial.config.build(ObserverFacts(run_path=Path(folder)))
