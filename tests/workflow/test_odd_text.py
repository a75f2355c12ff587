"""Odd titles and folder names through real Snakemake: commands hold them as text, if at all."""

import json
import re
import subprocess
from pathlib import Path

from rigsa import specs
from rigsa.study import load_study
from tests.workflow.conftest import Project
from tests.workflow.odd_text import ODD

RESULTS = 'it\'s a "folder" $(touch pwned) `x` & (b) [c]+ é'
COUNTS = {"train": 20, "validation": 4, "test": 4}


def odd(project: Project) -> None:
    def study(content: dict) -> None:
        content |= {"title": ODD, "description": f"={ODD}\n{ODD}"}
        for name, arm in content["arms"].items():
            arm["title"] = f"{ODD} {name}"

    def catalog(content: dict) -> None:
        for entry in content.values():
            entry["title"] = ODD
            if "generator" in entry:
                entry["counts"] = COUNTS
                entry["stands_for"] = ODD

    project.edit("studies/embedded.yaml", study)
    project.edit("studies/catalog/tasks.yaml", catalog)
    project.edit("studies/catalog/base_models.yaml", catalog)


def test_every_command_is_plain_words_for_a_shell(project: Project) -> None:
    odd(project)
    done = project.snakemake("--dry-run", "--printshellcmds", "--config", f"results={RESULTS}")
    assert done.returncode == 0, done.stderr
    commands = re.findall(r"^Shell command: ((?:rigsa|snakemake) .*)$", done.stdout, re.MULTILINE)
    names = {command.split()[1] for command in commands}
    assert names >= {"task-data", "train", "select-mask", "evaluate", "collect", "table", "figure"}
    # The shell itself takes them apart; where they write is another's.
    script = "\n".join(f"words {re.split(' 2?>', command)[0]}" for command in commands)
    words = subprocess.run(
        ["bash", "-euc", f"words() {{ printf '%s\\n' \"$*\"; }}\n{script}"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert len(words) == len(commands)
    assert all(RESULTS in line for line in words)
    assert not Path("pwned").exists()


def test_no_title_ends_the_script_of_the_report(project: Project) -> None:
    odd(project)
    outline = specs.canonical(specs.outline(load_study("embedded")))
    assert "<" not in outline
    assert json.loads(outline)["title"] == ODD


def test_a_job_runs_in_a_folder_with_an_odd_name(project: Project) -> None:
    odd(project)
    target = f"{RESULTS}/tasks/tiny_piqa/info.json"
    done = project.snakemake("--cores", "1", "--config", f"results={RESULTS}", "--", target)
    assert done.returncode == 0, done.stderr[-2000:]
    assert Path(target).is_file()
    assert Path(RESULTS, "embedded/logs/task_data-tiny_piqa.log").is_file()
    assert {path.name for path in Path().iterdir()} - {".snakemake", RESULTS} == {
        *("Snakefile", "config.yaml", "environment.yml", "studies", "workflow", "profiles"),
    }
