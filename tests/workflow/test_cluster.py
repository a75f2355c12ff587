"""The cluster profile without a cluster: what jobs ask for, and what is said without Slurm."""

import re


def test_every_job_asks_for_memory_and_time(project) -> None:
    done = project.snakemake("--dry-run", "results/embedded/arms/rigsa/seed0/step0/training.json")
    resources = re.search(r"rule train:.*?resources: ([^\n]*)", done.stdout + done.stderr, re.S)[1]
    asked = dict(item.split("=") for item in resources.split(", "))
    assert 1000 < int(asked["mem_mb"]) < 3000
    assert 10 < int(asked["runtime"]) < 60


def test_a_machine_without_slurm_says_so(project, monkeypatch) -> None:
    # Where it is installed, it has no cluster to talk to.
    monkeypatch.setenv("SLURM_CONF", str(project.folder / "none"))
    done = project.snakemake("--workflow-profile", "profiles/slurm")
    assert done.returncode != 0
    assert re.search(r"Error: .*(knows no Slurm|Slurm does not answer).*", done.stderr)
    assert "Traceback" not in done.stderr
    assert not (project.folder / "results" / "tasks").exists()
