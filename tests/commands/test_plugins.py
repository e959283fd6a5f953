"""`jepa plugins`, on what is installed."""

from __future__ import annotations

import json

import pytest

from jepa_core.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and error output of `jepa plugins …`."""
    with pytest.raises(SystemExit) as caught:
        main(["plugins", *arguments])
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_components_are_listed_by_family_with_their_origin(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, out, _ = run(capsys, *arguments)
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert lines[0] == ["family", "name", "what", "from"]
    assert any(line[:2] == ["aggregator", "analogy"] and line[-2] == "jepa-core" for line in lines)
    assert any(line[0] == "last" for line in lines), "a family is named on its first line only"


def test_the_list_is_there_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(run(capsys, "list", "--json")[1])
    assert {"dataset", "encoder", "quantizer", "aggregator", "predictor", "loss"} <= {
        component["family"] for component in listed["components"]
    }
    assert set(listed["components"][0]) == {"family", "name", "what", "from", "version"}


def test_a_component_is_shown_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", "ema_vq")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert lines[0].startswith("quantizer ema_vq · ")
    assert "codes 768 ≥ 2 codes in a codebook" in lines
    assert lines[-4:-1] == ["in a recipe:", "[quantizer]", 'kind = "ema_vq"']


def test_a_component_is_shown_with_its_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    (shown,) = json.loads(run(capsys, "show", "info_nce", "--family", "loss", "--json")[1])
    assert "temperature" in {metric["name"] for metric in shown["metrics"]}
    fields = {field["key"]: field for field in shown["fields"]}
    assert fields["temperature"]["default"] == 0.07
    assert "temperature" in run(capsys, "show", "info_nce")[1].partition("metric ")[2]


def test_an_unknown_component_or_family_is_a_usage_error_with_what_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "show", "atention")
    assert (code, 'Did you mean "attention' in err) == (2, True)
    code, _, err = run(capsys, "show", "attention", "--family", "agregator")
    assert (code, 'Did you mean "aggregator"?' in err) == (2, True)
    code, _, err = run(capsys, "show", "ema_vq", "--family", "loss")
    assert (code, err.startswith("No loss named ema_vq.")) == (2, True)
