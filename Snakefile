# The front door: configuration, checks, includes, and what a run makes.
import sys

from rigsa.config import (
    check_attention,
    check_config,
    read_config,
    resolve_device,
)
from rigsa.errors import RigsaError
from rigsa.resume.unfinished import clear_finished
from rigsa.sources import check_folders, sources
from rigsa.study import load_study

try:
    read_config()
except RigsaError as error:
    # One sentence without Snakemake's traceback, which adds nothing to it.
    sys.exit(f"Error: {error}")


configfile: "config.yaml"


try:
    check_config(config)
    STUDY = load_study(config["study"])
    check_attention(config, STUDY)
    SOURCES = sources(STUDY, config)
    check_folders(STUDY, SOURCES)
except RigsaError as error:
    sys.exit(f"Error: {error}")


include: "workflow/rules/common.smk"
include: "workflow/rules/freshness.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/base_model.smk"
include: "workflow/rules/adapters.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        results_of_the_study,
    localrule: True


onstart:
    look_when_jobs_end()
    PLANNED = list(workflow.dag.needrun_jobs())
    if on_cluster():
        check_cluster(
            PLANNED
        )  # The GPUs are elsewhere, and each job looks for itself.
    else:
        check_gpus_of(PLANNED)
    lock_planned(PLANNED)
    fetch_first(PLANNED)


onsuccess:
    name_followers()
    clear_finished(PATHS.unfinished().parent, f"{STUDY.name}-", "base_model-")
    # A run for a single file may end before there is anything to sum up.
    if PATHS.report.is_file():
        shell("rigsa summary --study {STUDY.name:q} --results {PATHS.results:q}")


onerror:
    if slurm() is not None:
        name_silent(log)
