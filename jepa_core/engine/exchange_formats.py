"""Files that take an encoder out of this package: a program of `torch.export` (.pt2), and an ONNX model (.onnx).

Knows nothing of runs and recipes. Shapes: M observations, N tokens of each, D embedding dimension.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import attrs
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from jepa_core.contracts import Embeddings, Encoder, Observations
from jepa_core.errors import JepaError

BATCH = "batch"
"""The name of the first dimension, which may have any length."""

CONTENTS = "jepa.json"
"""Where a file says what it holds: the name of an extra file in .pt2, of a metadata property in .onnx."""

Tokens = tuple[Tensor, Tensor]
"""Tokens (M, N, D), and which of them are real (M, N)."""

Run = Callable[[Observations], Tokens]
"""A file at work on observations (M, …)."""

_LOGGERS = ("torch.export", "torch.fx", "torch.onnx", "onnxscript", "onnx_ir")
_REMARKS = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    # Weights of convolutions lie in memory as an encoder likes them, and a file's bytes are only read.
    "No complete tensor found in the group",
    "The given buffer is not writable",
)
"""How warnings begin that torch gives of its own workings."""

_WHAT_IT_FOLLOWS = (
    "It follows sizes from tensor.shape, where len(tensor) and int(tensor) fix them, and torch.where in place of an "
    "`if` on values."
)


class ExportError(JepaError):
    """An encoder cannot be written in a format, or what was written is not the encoder."""


class NamedEncoder(nn.Module):
    """An encoder that takes a space's tensors as arguments of their names, in evaluation mode and without gradient."""

    def __init__(self, encoder: Encoder, names: Sequence[str]) -> None:
        super().__init__()
        self.encoder = encoder
        self.gives = tuple(f"token_{name}" if name in names else name for name in ("tokens", "mask"))
        """Names of tokens and mask: a file has each name once."""
        self.eval().requires_grad_(False)

        def forward(**tensors: Tensor) -> Tokens:
            embeddings: Embeddings = self.encoder(Observations(tensors))
            return embeddings.values, embeddings.mask

        # torch.export names a program's inputs after the arguments.
        arguments = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        forward.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
        self.forward = forward

    def encoded(self, observations: Observations) -> Tokens:
        """Of observations (M, …)."""
        tokens: Tokens = self(**observations.tensors)
        return tokens

    @property
    def origin(self) -> str:
        """The encoder's class, for an error."""
        return f"{type(self.encoder).__module__}.{type(self.encoder).__qualname__}"


@attrs.frozen(kw_only=True)
class Format:
    """A kind of file."""

    content: Callable[[ExportedProgram, str, Sequence[str]], bytes]
    """A file's bytes, from a program, a text about it, and the names of what it gives."""
    opened: Callable[[Path], Run]
    needs: tuple[str, ...] = ()
    """Packages that writing needs beside torch."""
    runs_with: str = "torch"
    """The package that `opened` needs."""
    otherwise: str = ""
    """What to do where an encoder does not fit."""

    def check_packages(self) -> None:
        """
        Raises:
            ExportError: a package that writing needs is missing; or one is installed, and cannot be imported.
        """
        missing = [package for package in self.needs if find_spec(package) is None]
        if missing:
            raise ExportError(
                f"This kind of file is written with {' and '.join(self.needs)}; not installed: {', '.join(missing)}.\n"
                f"Install them: pip install 'jepa-core[onnx]'. {self.otherwise}"
            )
        for package in (*self.needs, *((self.runs_with,) if self.can_be_run() else ())):
            remedy = f"Mend its installation: pip install --force-reinstall {package}. {self.otherwise}"
            with _quiet(), _explained(f"{package} cannot be imported", remedy):
                import_module(package)

    def can_be_run(self) -> bool:
        """Whether `run` has what it needs."""
        return find_spec(self.runs_with) is not None

    def write(self, encoder: NamedEncoder, example: Observations, path: Path, *, about: str) -> None:
        """Write an encoder, for batches of any size.

        Args:
            encoder: what is written.
            example: an observation (1, …) or several, whose shapes and types are read, and not their numbers.
            path: where.
            about: a text that the file holds under the name `CONTENTS`.

        Raises:
            ExportError: the encoder cannot be written in this format.
            OSError: the file cannot be written.
        """
        # A program keeps what it was recorded on, and nobody's data belongs in it. A batch of one would be recorded as
        # nothing but one.
        blank = {name: tensor.new_zeros(2, *tensor.shape[1:]) for name, tensor in example.tensors.items()}
        shapes = {name: {0: Dim(BATCH)} for name in blank}
        with _quiet(), torch.no_grad():
            with _explained(f"torch.export cannot follow the encoder {encoder.origin}", _WHAT_IT_FOLLOWS):
                program = torch.export.export(encoder, (), blank, dynamic_shapes=shapes)
            with _explained(f"The encoder {encoder.origin} cannot be written as {path.suffix}", self.otherwise):
                content = self.content(program, about, encoder.gives)
        path.write_bytes(content)

    def run(self, path: Path, batches: Sequence[Observations]) -> list[Tokens]:
        """A file's tokens of observations (M, …), batch by batch.

        Raises:
            ExportError: it cannot be run on them.
        """
        with _quiet(), torch.no_grad(), _explained(f"{self.runs_with} cannot run what was written", self.otherwise):
            run = self.opened(path)
            return [run(batch) for batch in batches]


def _pt2_content(program: ExportedProgram, about: str, gives: Sequence[str]) -> bytes:  # noqa: ARG001  # gives a tuple, without names
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={CONTENTS: about})
    return buffer.getvalue()


def _opened_pt2(path: Path) -> Run:
    program = torch.export.load(path).module()
    return lambda observations: program(**observations.tensors)


def _onnx_content(program: ExportedProgram, about: str, gives: Sequence[str]) -> bytes:
    exported = torch.onnx.export(program, dynamo=True, verbose=False, output_names=gives)
    assert exported is not None
    exported.model.metadata_props[CONTENTS] = about
    for value in (*exported.model.graph.inputs, *exported.model.graph.outputs):
        assert value.shape is not None
        value.shape[0] = BATCH
    content: bytes = exported.model_proto.SerializeToString()
    return content


def _opened_onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(observations: Observations) -> Tokens:
        tokens, mask = session.run(None, {name: tensor.numpy() for name, tensor in observations.tensors.items()})
        return torch.from_numpy(tokens), torch.from_numpy(mask)

    return run


FORMATS: Mapping[str, Format] = {
    ".pt2": Format(content=_pt2_content, opened=_opened_pt2),
    ".onnx": Format(
        content=_onnx_content,
        opened=_opened_onnx,
        needs=("onnx", "onnxscript"),
        runs_with="onnxruntime",
        otherwise="A .pt2 file needs torch alone, and has all of its operators.",
    ),
}
"""By a file's suffix."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch and onnxscript say of their own workings off the screen: errors tell what matters."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    aside = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(aside), contextlib.redirect_stderr(aside):
        for remark in _REMARKS:
            warnings.filterwarnings("ignore", message=remark)
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def _explained(problem: str, remedy: str) -> Iterator[None]:
    """Raise what goes wrong inside as an `ExportError`: the problem, the first line of the reason, what to do."""
    try:
        yield
    except Exception as error:
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        reason = next(iter(str(root).strip().splitlines()), "")
        raise ExportError(f"{problem}: {type(root).__name__}: {reason}\n{remedy}".rstrip()) from error
