"""Tiny and odd data: a verdict or one sentence, from the recipe to the embeddings, for every component there is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from jepa_core.dataset_checks import check_dataset
from jepa_core.errors import JepaError
from jepa_core.facts import DatasetFacts
from jepa_core.registry import installed
from tests.odd_data.cases import Case, Drawing, cases
from tests.odd_data.files import ODD_FILES, REFUSED_FILES, Data
from tests.odd_data.whole_run import Outcome, whole_run

FEW, MANY, THOROUGH = 12, 500, 40
AT_ONCE = 10

WITHOUT_TOKENS = ("objects", "seed_objects")
"""Encoders whose tokens are what they find."""

Writer = Callable[[Path], Data]


@functools.cache
def drawn(num: int, seed: int) -> tuple[Case, ...]:
    return tuple(cases(installed(), num, seed))


def require_answer(case: Case, outcome: Outcome) -> None:
    assert not outcome.faults, "\n".join([case.what, *outcome.faults])
    assert outcome.code in (0, 3, 4) or outcome.said.strip().endswith("."), f"{case.what}\n{outcome.said}"


@pytest.mark.parametrize("number", range(FEW))
def test_a_whole_run_gives_a_verdict_or_says_in_a_sentence_why_not(number: int, tmp_path: Path) -> None:
    case = drawn(FEW, 0)[number]
    require_answer(case, whole_run(case, tmp_path, further=False))


@pytest.mark.parametrize("family", ["encoder", "quantizer", "aggregator", "predictor"])
def test_the_few_runs_are_of_every_component(family: str) -> None:
    tried = {case.table[family]["kind"] for case in drawn(FEW, 0)}
    assert tried == set(installed().family(family))


@pytest.mark.parametrize("family", ["loss", "augmentation"])
def test_the_many_runs_are_of_every_component(family: str) -> None:
    table = {"loss": "losses"}.get(family, family)
    tried = {name for case in drawn(MANY, 1) for name in case.table.get(table, {})}
    assert tried == set(installed().family(family))


def test_the_many_runs_are_of_every_odd_file() -> None:
    tried = {(case.space, case.file) for case in drawn(MANY, 1) if case.file}
    assert tried == {(kind, name) for kind, files in ODD_FILES.items() for name in files}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, MANY, AT_ONCE))
def test_many_whole_runs(first: int, tmp_path: Path) -> None:
    for case in drawn(MANY, 1)[first : first + AT_ONCE]:
        (tmp_path / str(case.number)).mkdir()
        require_answer(case, whole_run(case, tmp_path / str(case.number), further=False))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(THOROUGH))
def test_whole_runs_that_are_audited_plotted_and_exported(number: int, tmp_path: Path) -> None:
    case = drawn(THOROUGH, 2)[number]
    require_answer(case, whole_run(case, tmp_path, further=True))


def blank(encoder: str, quantizer: str, observed: str) -> Case:
    """Training on grids of which an encoder may find nothing in any, or in no target."""
    data = {"kind": "odd_sequences", "of": "grid", "observed": observed}
    of_objects = {"kind": encoder, "dim": 8, "heads": 2, "layers": 1}
    return Drawing(installed(), 0).case(1).with_parts(data=data, encoder=of_objects, quantizer={"kind": quantizer})


@pytest.mark.parametrize("encoder", WITHOUT_TOKENS)
@pytest.mark.parametrize("quantizer", ["ema_vq", "none"])
def test_data_without_a_single_token(encoder: str, quantizer: str, tmp_path: Path) -> None:
    outcome = whole_run(blank(encoder, quantizer, "nothing"), tmp_path, further=False)
    assert not outcome.faults, outcome.faults
    assert (outcome.code == 1) == (quantizer == "ema_vq")
    if outcome.code == 1:
        assert f'encoder.kind = "{encoder}" finds none in the contexts of 6 training sequences' in outcome.said


@pytest.mark.slow
@pytest.mark.parametrize("observed", ["nothing", "smallest and empty", "empty targets", "all equal"])
@pytest.mark.parametrize("encoder", ["objects", "seed_objects"])
def test_every_quantizer_of_few_tokens(encoder: str, observed: str, tmp_path: Path) -> None:
    for quantizer in installed().family("quantizer"):
        (tmp_path / quantizer).mkdir()
        case = blank(encoder, quantizer, observed)
        require_answer(case, whole_run(case, tmp_path / quantizer, further=False))


@pytest.mark.parametrize(
    "write", [pytest.param(w, id=f"{kind}-{name}") for kind, files in ODD_FILES.items() for name, w in files.items()]
)
def test_an_odd_file_makes_a_dataset(write: Writer, tmp_path: Path) -> None:
    built(write(tmp_path))


@pytest.mark.parametrize(
    "write",
    [pytest.param(w, id=f"{kind}-{name}") for kind, files in REFUSED_FILES.items() for name, w in files.items()],
)
def test_a_file_of_which_nothing_can_be_made_is_refused_in_a_sentence(write: Writer, tmp_path: Path) -> None:
    with pytest.raises(JepaError) as refused:
        built(write(tmp_path))
    told = str(refused.value)
    assert told.endswith(".")
    assert "Error" not in told
    assert len(told) < 700


def built(data: Data) -> None:
    """Build a dataset and check what it promises."""
    component = installed().get("dataset", data.pop("kind"))
    assert component is not None
    config = component.config_class(**data)
    check_dataset(config.build(DatasetFacts(seed=0)), config.space)  # type: ignore[attr-defined]  # a dataset's
