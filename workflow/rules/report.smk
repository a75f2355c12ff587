# From all scores to tables, figures and one report.
import json

from rigsa.analysis import figures, tables

CHAT_PLACE = GRAPH.chat_place
STUDY_FLAGS = ["--study", STUDY.name, "--results", str(PATHS.results)]


rule collect:
    input:
        made_from("collect"),
    output:
        files_of(Job("collect")),
    log:
        PATHS.log("collect"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        spec=spec_of("collect"),
        study=untracked(STUDY_FLAGS),
    shell:
        "rigsa collect {params.spec:q} {params.study:q} 2> {log:q}"


rule table:
    input:
        # Beside the scores it reads answers, which are there when the scores are.
        made_from("table"),
    output:
        record(PATHS.table("{table}")[0]),
        [path for path in PATHS.table("{table}") if path.suffix != ".html"],
        report(
            [path for path in PATHS.table("{table}") if path.suffix == ".html"],
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        PATHS.log("table", "{table}"),
    wildcard_constraints:
        table="|".join(tables.MODULES),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        spec=spec_of("table"),
        study=untracked(STUDY_FLAGS),
    shell:
        "rigsa table {wildcards.table} {params.spec:q} {params.study:q} 2> {log:q}"


rule sample_chat:
    input:
        made_from("sample_chat"),
    output:
        chat=PATHS.chat,
        record=record(PATHS.chat),
    log:
        PATHS.log("sample_chat"),
    conda:
        ENVIRONMENT
    threads: config["threads"]["evaluate"]
    resources:
        gpu=GPU,
        runtime=minutes_of("sample_chat"),
        mem_mb=megabytes_of("sample_chat"),
    params:
        spec=spec_of("sample_chat"),
        base_model=untracked(PATHS.base_model(model_of(STUDY, CHAT_PLACE[0]))),
        checkpoint=untracked(PATHS.checkpoint(*CHAT_PLACE).folder),
        target=untracked(TARGET_DATA),
        sources=untracked([PATHS.task(task) for task in STUDY.source_tasks]),
        machine=untracked(DEVICE_FLAGS),
    shell:
        "rigsa sample-chat {params.spec:q} --checkpoint {params.checkpoint:q} "
        "--base-model {params.base_model:q} --task-data {params.target:q} "
        "--source-data {params.sources:q} --output {output.chat:q} {params.machine:q} 2> {log:q}"


rule figure:
    input:
        made_from("figure"),
    output:
        record(PATHS.figure("{figure}")[0]),
        [path for path in PATHS.figure("{figure}") if path.suffix != ".png"],
        report(
            [path for path in PATHS.figure("{figure}") if path.suffix == ".png"],
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        PATHS.log("figure", "{figure}"),
    wildcard_constraints:
        figure="|".join(figures.MODULES),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        spec=spec_of("figure"),
        study=untracked(STUDY_FLAGS),
    shell:
        "rigsa figure {wildcards.figure} {params.spec:q} {params.study:q} 2> {log:q}"


SOURCES_FILE = [PATHS.sources] if SOURCES else []
SHOWN = [job for job in GRAPH if job.rule in ("table", "figure")]
SHOWN_FILES = [str(file) for job in SHOWN for file in GRAPH.outputs(job, PATHS)]
CAPTIONS = sorted(Path(workflow.basedir, "workflow/report").glob("*.rst"))
# How this run was configured, for the run in the run. Snakemake takes no numbers within mappings.
CONFIG_FLAGS = [
    f"{key}={json.dumps(value) if isinstance(value, dict) else value}"
    for key, value in config.items()
    if key != "threads" and value not in ({}, None)
]


rule tables_and_figures:
    input:
        SHOWN_FILES,
        SOURCES_FILE,
    localrule: True


rule report:
    input:
        lambda wildcards: ancient_where_fresh(SHOWN_FILES, SHOWN),
        SOURCES_FILE,
    output:
        PATHS.report,
    log:
        PATHS.log("report"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        # Not before it is asked for: on a cluster every job reads this file, and these are
        # the definitions of all jobs of the study.
        shown=lambda wildcards: specs.digest(
            {str(job): DEFINITIONS.definition(job) for job in SHOWN}
        ),
        captions=specs.digest({file.name: file.read_text() for file in CAPTIONS}),
        config=untracked(CONFIG_FLAGS),
    shell:
        # Snakemake's own reporter reads what this run has finished; it takes no lock.
        "snakemake tables_and_figures --nolock --report {output:q} "
        "--config {params.config:q} > {log:q} 2>&1"
