"""The paper's study on a made-up hub: what fetch would get, and a run to its last figure."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.conftest import Project
from tests.workflow.paper import KEPT_ARMS, cut_down, fill_hub

NOTHING = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nonexistent"}
CONFIG = ("--config", "study=paper", "device=cpu", "eval_batch_size=2", "micro_batch_size=8")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in NOTHING.items():
        monkeypatch.setenv(key, value)


def test_a_dry_run_says_what_fetch_would_get(project: Project, offline) -> None:
    done = project.snakemake("--dry-run", "--config", "study=paper")
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    for repository in (
        "model smollm2_instruct from the hub: HuggingFaceTB/SmolLM2-1.7B-Instruct at main",
        "from the hub: unsloth/SmolLM2-1.7B-Instruct-bnb-4bit at main",
        "dataset textual_mnist from the hub: ylecun/mnist at main",
        "from the hub: baber/piqa at main",
        "from the hub: Rowan/hellaswag at main",
        "from the hub: openai/gsm8k at main",
    ):
        assert repository in said
    assert not Path("results").exists()


def test_a_missing_gpu_is_said_before_the_first_job(project: Project, offline) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = project.snakemake("--cores", "1", "--config", "study=paper")
    assert done.returncode == 1
    assert "Error: device is cuda, but torch sees no GPU here; set device to cpu." in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("results").exists()


@pytest.mark.parametrize("target", ["fetch", "all"])
def test_what_cannot_be_fetched_is_said_first(project: Project, offline, target) -> None:
    done = project.snakemake(target, "--cores", "1", "--config", "study=paper", "device=cpu")
    assert done.returncode == 1
    assert "HuggingFaceTB/SmolLM2-1.7B-Instruct at revision 'main' is not in the hub's cache" in (
        done.stderr + done.stdout
    )
    assert not Path("results/base_models/smollm2_instruct/source.json").exists()
    assert not Path("results/tasks/gsm8k/test.jsonl").exists()
    assert "Traceback" not in done.stderr
    assert not any(Path(".snakemake").glob("locks/*"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Project:
    project = Project(tmp_path_factory.mktemp("paper"))
    hub = fill_hub(tmp_path_factory.mktemp("hub"), shared_data)
    cut_down(project)
    before = {key: os.environ.get(key) for key in hub.environment}
    os.environ |= hub.environment
    try:
        project.fetched = project.snakemake("fetch", "--cores", "1", *CONFIG)
        project.done = project.snakemake("--cores", "all", "--resources", "gpu=1", *CONFIG)
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})
    assert project.fetched.returncode == 0, project.fetched.stdout[-3000:]
    assert project.done.returncode == 0, project.done.stderr[-3000:]
    return project


def test_fetch_gets_everything_and_trains_nothing(finished: Project) -> None:
    said = finished.fetched.stdout + finished.fetched.stderr
    assert "rule train" not in said
    assert "fetch_smollm2_instruct" not in finished.done.stdout + finished.done.stderr


def test_the_study_runs_to_the_last_figure(finished: Project) -> None:
    results = finished.folder / "results/paper"
    for number in range(1, 8):
        assert (results / f"figures/figure{number}.pdf").stat().st_size > 0
    for number in range(1, 5):
        assert (results / f"tables/table{number}.csv").is_file()
    assert (results / "report.html").is_file()
    scores = pd.read_csv(results / "tables/scores.csv")
    assert set(scores["arm"]) == set(KEPT_ARMS)
    assert {"metric_acc", "metric_acc_norm"} <= set(scores.columns)


def test_the_commits_are_in_the_results(finished: Project) -> None:
    content = json.loads((finished.folder / "results/paper/sources.json").read_text())
    assert set(content) == {
        "base_models/smollm2_instruct",
        "base_models/smollm2_instruct_4bit",
        *(f"tasks/{task}" for task in ("textual_mnist", "piqa", "hellaswag", "gsm8k")),
    }
    base = content["base_models/smollm2_instruct"]
    assert base["repository"] == "HuggingFaceTB/SmolLM2-1.7B-Instruct"
    assert base["revision"] == "main"
    assert len(base["commit"]) == 40
    assert base["files"]["config.json"] > 0
    assert sum(name.endswith(".safetensors") for name in base["files"]) == 2
    assert "sources.json;base64," in (finished.folder / "results/paper/report.html").read_text()


def test_four_bit_arms_start_from_the_ready_folder(finished: Project) -> None:
    arms = finished.folder / "results/paper/arms"
    adapter = json.loads((arms / "qlora_r1/seed0/step0/adapter/adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"].endswith("base_models/smollm2_instruct_4bit")
    training = json.loads((arms / "qlora_r1/seed0/step0/training.json").read_text())
    assert training["spec"]["quantization"] == {"ready": True}


def test_a_second_run_has_nothing_to_do(finished: Project, offline) -> None:
    done = finished.snakemake("--dry-run", *CONFIG)
    assert "Nothing to be done" in done.stderr + done.stdout


def test_one_task_fewer_asks_and_trains_nothing_anew(finished: Project, offline) -> None:
    path = finished.folder / "studies/paper.yaml"
    before = path.read_bytes()

    def drop(study: dict) -> None:
        study["source_tasks"].remove("hellaswag")
        del study["benchmarks"]["hellaswag"]

    try:
        finished.edit("studies/paper.yaml", drop)
        done = finished.snakemake("--dry-run", *CONFIG)
    finally:
        path.write_bytes(before)
    planned = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert {"sources", "collect", "table", "figure"} <= planned
    assert not {"train", "evaluate", "select_mask", "task_data"} & planned


def test_a_folder_in_place_of_the_hub_invalidates_one_task(
    finished: Project, offline, shared_data: Path, tmp_path: Path
) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").symlink_to(shared_data / "gsm8k" / f"{split}.jsonl")
    done = finished.snakemake("--dry-run", *CONFIG, f"data_dir={{gsm8k: {tmp_path}}}")
    said = done.stdout + done.stderr
    assert f"Link the dataset gsm8k from the folder {tmp_path}" in said
    lines = [line.split() for line in said.splitlines()]
    assert ["evaluate", "5"] in lines
    assert not any(line[:1] == ["train"] for line in lines)
