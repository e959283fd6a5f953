"""The batch script for SLURM, under stand-ins for SLURM's commands and for `jepa`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

SCRIPT = Path(__file__).parents[2] / "recipes" / "slurm" / "train.sbatch"

# A signal that comes before it is waited for is kept, for it is blocked first and in all that is started from there.
COMMANDS = {
    # Two tasks; signals reach both, as those to srun do.
    "srun": """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        tasks = []
        for task in ("0", "1"):
            names = {"SLURM_PROCID": task, "SLURM_LOCALID": task, "SLURM_NTASKS": "2"}
            tasks.append(subprocess.Popen(sys.argv[2:], env={**os.environ, **names}))
        while any(task.poll() is None for task in tasks):
            if signal.sigtimedwait({signal.SIGTERM}, 0.02):
                for task in tasks:
                    task.terminate()
        sys.exit(max(task.returncode for task in tasks))
    """,
    "scontrol": """
        if sys.argv[1] == "show":
            print("node-a", "node-b", sep="\\n")
        else:
            with open(os.environ["LOG"] + "/scontrol", "a") as file:
                print(*sys.argv[1:], file=file)
    """,
    "jepa": """
        rank = os.environ["RANK"]
        address = [os.environ[name] for name in ("LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR")]
        with open(os.environ["LOG"] + "/jepa", "a") as file:
            print(" ".join([rank, *address, *sys.argv[1:]]), file=file)
        with open(os.environ["LOG"] + "/cores", "a") as file:
            print(os.environ["SRUN_CPUS_PER_TASK"], file=file)
        if "ENDS" in os.environ:
            sys.exit(int(os.environ["ENDS"]))
        open(os.environ["LOG"] + "/rank-" + rank, "w").close()
        signal.sigwait({signal.SIGTERM})
        os.makedirs(sys.argv[-1] + "/a-run/checkpoints/step-7", exist_ok=True)
        sys.exit(143)
    """,
}


@pytest.fixture
def job(tmp_path: Path) -> dict[str, str]:
    """The environment of a job with SLURM's commands."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in COMMANDS.items():
        (folder / name).write_text(f"#!{sys.executable}\nimport os, signal, subprocess, sys\n{dedent(body)}")
        (folder / name).chmod(0o755)
    return {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "LOG": str(tmp_path),
        "JEPA_RUNS": str(tmp_path / "runs"),
        "SLURM_JOB_ID": "4711",
        "SLURM_CPUS_PER_TASK": "8",
        "SLURM_JOB_NODELIST": "node-[a-b]",
    }


def test_each_task_is_a_rank_and_the_run_s_code_is_the_job_s(job: dict[str, str], tmp_path: Path) -> None:
    arguments = [str(SCRIPT), "optimized", "--set", "name=a b"]
    assert subprocess.run(["bash", *arguments], env={**job, "ENDS": "0"}, check=False).returncode == 0
    lines = sorted((tmp_path / "jepa").read_text().splitlines())
    runs = f"--runs-dir {tmp_path}/runs/job-4711"
    assert (tmp_path / "cores").read_text() == "8\n8\n"
    assert lines == [f"{rank} {rank} 2 node-a run optimized --set name=a b {runs}" for rank in (0, 1)]
    assert subprocess.run(["bash", *arguments], env={**job, "ENDS": "1"}, check=False).returncode == 1
    assert not (tmp_path / "scontrol").exists()


def test_near_the_end_of_its_time_it_saves_and_is_queued_again_and_then_resumes(
    job: dict[str, str], tmp_path: Path
) -> None:
    typed = ["optimized", "--set", "a=1", "--plugin", "my own.py", "--set=b=2", "--auto-rollback"]
    shown = tmp_path / "shown"
    with shown.open("w") as file, subprocess.Popen(["bash", str(SCRIPT), *typed], env=job, stdout=file) as first:
        try:
            deadline = time.monotonic() + 60
            while not all((tmp_path / f"rank-{rank}").exists() for rank in (0, 1)):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            first.send_signal(signal.SIGUSR1)
            assert first.wait(60) == 0
        finally:
            first.kill()
    assert "writes a checkpoint and stops" in shown.read_text()
    assert (tmp_path / "scontrol").read_text() == "requeue 4711\n"
    (tmp_path / "jepa").unlink()

    assert subprocess.run(["bash", str(SCRIPT), *typed], env={**job, "ENDS": "0"}, check=False).returncode == 0
    kept = "--plugin my own.py --auto-rollback"
    lines = (tmp_path / "jepa").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.endswith(f"run --resume latest {kept} --runs-dir {tmp_path}/runs/job-4711")


def test_without_a_recipe_it_says_how_it_is_used(job: dict[str, str]) -> None:
    ended = subprocess.run(["bash", str(SCRIPT)], env=job, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "RECIPE" in ended.stderr
