"""The commands of a study's jobs as Snakemake would call them, in an order that can run."""

import shlex
from pathlib import Path

from tests.workflow.conftest import Project

SHOWN = "Shell command: "
TARGET = "results/embedded/tables/scores.csv"
REDIRECTIONS = {"2>", "2>&1", "|", ">"}


def planned(project: Project) -> list[list[str]]:
    """Arguments of `rigsa` for every job up to the scores of the embedded study."""
    done = project.snakemake("--dry-run", "--printshellcmds", "--", TARGET)
    assert done.returncode == 0, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    commands = [shlex.split(line.removeprefix(SHOWN)) for line in lines if line.startswith(SHOWN)]
    return [_without_redirection(words)[1:] for words in commands]


def outputs(command: list[str], project: Project) -> list[Path]:
    """What Snakemake would delete where the command fails: its output file or folder."""
    if command[0] == "collect":
        return [project.folder / TARGET]
    place = project.folder / command[command.index("--output") + 1]
    if command[0] == "train":  # The checkpoint's folder holds the mask and the evaluations too.
        return [place / name for name in ("adapter", "training.json", "training.jsonl")]
    if command[0] == "evaluate":
        return [place, place.with_suffix(".samples.parquet")]
    return [place]


def _without_redirection(words: list[str]) -> list[str]:
    end = next((i for i, word in enumerate(words) if word in REDIRECTIONS), len(words))
    return words[:end]
