from __future__ import annotations

import pytest

from jepa_core.ablation.devices import devices_to_check, gpu_numbers, places_for
from jepa_core.errors import RecipeError


def test_each_gpu_takes_one_run_which_sees_no_other() -> None:
    places = places_for((0, 2), "auto", 1, {})
    assert [place.device for place in places] == ["cuda", "cuda"]
    assert [place.environment["CUDA_VISIBLE_DEVICES"] for place in places] == ["0", "2"]


def test_numbers_count_among_the_gpus_that_are_visible() -> None:
    (place,) = places_for((1,), "auto", 1, {"CUDA_VISIBLE_DEVICES": "4,GPU-7"})
    assert place.environment["CUDA_VISIBLE_DEVICES"] == "GPU-7"


def test_jobs_multiply_places() -> None:
    assert len(places_for((0, 1), "auto", 3, {})) == 6


def test_runs_that_share_the_cpu_share_its_cores_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert places_for((), "cpu", 3, {})[0].environment == {"OMP_NUM_THREADS": "2"}
    assert places_for((), "cpu", 3, {"OMP_NUM_THREADS": "1"})[0].environment == {}
    assert places_for((), "cpu", 1, {})[0].environment == {}


@pytest.mark.parametrize("text", ["a", "0,", "0,0", "-1", "0 1", "²"])
def test_what_names_no_gpus_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="expected numbers of different GPUs"):
        gpu_numbers(text)


def test_every_gpu_or_the_device_is_checked() -> None:
    assert gpu_numbers("0, 1") == (0, 1)
    assert devices_to_check((0, 1), "auto") == ("cuda:0", "cuda:1")
    assert devices_to_check((), "cpu") == ("cpu",)
