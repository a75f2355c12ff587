"""What a cluster allows, read from its commands' answers, and what is refused before submission."""

from pathlib import Path

import pytest

from rigsa.errors import ConfigError
from rigsa.slurm import Asked, Partition, Slurm, check_asked

CONFIG = "AccountingStorageType   = accounting_storage/{storage}\nMinJobAge   = {age} sec"
SINFO = """\
main|1-02:30:00|257000|64|gpu:a100:4(S:0-1),shard:8
main|1-02:30:00|1031000+|128+|(null)
short|30:00|64000|16|gpu:2
cpu|infinite|64000|16|(null)
mixed|2:00:00|64000|16|gpu:t4:1,gpu:a100_3g.20gb:2"""
ASKED = Asked("train rigsa 0 0", "train", "main", "lab", 60, 20.4, 2000, 1, 1)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch):
    """Commands that answer as a cluster's do; a function that says what they answer."""

    def answering(storage: str = "slurmdbd", age: int = 300, accounts: str = "lab\nother") -> Slurm:
        answers = {
            "sbatch": "",
            "squeue": "",
            "scancel": "",
            "scontrol": CONFIG.format(storage=storage, age=age),
            "sinfo": SINFO,
            "sacctmgr": accounts,
        }
        for name, answer in answers.items():
            (tmp_path / name).write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return Slurm.here()

    return answering


def test_partitions_as_sinfo_says_them(cluster) -> None:
    found = cluster().partitions
    assert found["main"] == Partition(26 * 60 + 30, 1031000, 128, 4)
    assert found["short"] == Partition(30, 64000, 16, 2)
    assert found["cpu"] == Partition(None, 64000, 16, 0)
    assert found["mixed"].gpus == 3


def test_how_jobs_are_seen_to_end(cluster) -> None:
    assert cluster().status_command == "sacct"
    assert cluster(storage="none").status_command == "squeue"
    with pytest.raises(ConfigError, match="forgets a job 60 seconds after its end"):
        _ = cluster(storage="none", age=60).status_command


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"partition": "SET_ME"}, "slurm_partition is not set; set it to one of main, short, cpu"),
        ({"partition": None}, "slurm_partition is not set"),
        ({"partition": "man"}, "slurm_partition is 'man'; did you mean 'main'"),
        ({"account": "SET_ME"}, "slurm_account is not set; set it to one of lab, other"),
        ({"account": None}, "slurm_account is not set"),
        ({"account": "la"}, "slurm_account is 'la'; did you mean 'lab'"),
        ({"partition": "cpu"}, "needs 1 GPU, and partition cpu has none"),
        ({"gpus": 8}, "needs 8 GPU, and partition main has 4 on a node"),
        ({"cores": 500}, "asks for 500 cores, and a node of partition main has 128"),
        ({"megabytes": 2_000_000}, "needs 2000000 MB of memory, and a node of partition main has"),
        (
            {"minutes": 3000, "needed_minutes": 2999.5},
            "train rigsa 0 0 needs about 3000 minutes by its forecast, and partition main allows "
            "1590; .*set-resources: train: {runtime: 1590}",
        ),
    ],
)
def test_what_could_not_run_is_refused(cluster, changes, sentence) -> None:
    slurm = cluster()
    check_asked(slurm, [ASKED])
    with pytest.raises(ConfigError, match=sentence):
        check_asked(slurm, [ASKED, Asked(**{**vars(ASKED), **changes})])


def test_a_cluster_without_accounts_needs_none(cluster) -> None:
    slurm = cluster(storage="none")
    check_asked(slurm, [Asked(**{**vars(ASKED), "account": None})])
    with pytest.raises(ConfigError, match="set it to yours, or delete the line"):
        check_asked(slurm, [Asked(**{**vars(ASKED), "account": "SET_ME"})])


def test_a_machine_without_slurm(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"sbatch, squeue, .* not found: this machine knows no"):
        Slurm.here()


def test_a_cluster_that_does_not_answer(cluster, tmp_path) -> None:
    cluster()
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho 'Unable to contact controller' >&2; exit 1")
    with pytest.raises(ConfigError, match=r"does not answer .*Unable to contact controller"):
        Slurm.here()
