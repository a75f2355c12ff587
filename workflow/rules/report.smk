# From all scores to tables, figures and one report.
import json

from rigsa.analysis import figures, tables

EVALUATIONS = [
    (PATHS.checkpoint(point.arm, point.seed, point.step), benchmark.name)
    for point in STUDY.checkpoints()
    for benchmark in STUDY.benchmarks_of(point.arm)
]
SAMPLES = [place.samples(benchmark) for place, benchmark in EVALUATIONS]
TRAININGS = [
    file
    for point in STUDY.checkpoints()
    if STUDY.arms[point.arm].trained
    for file in (
        PATHS.checkpoint(point.arm, point.seed, point.step).training,
        PATHS.checkpoint(point.arm, point.seed, point.step).training_log,
    )
]
# The checkpoint that figure 6 talks to: the last step of the arm with most of them.
CHAT_ARM = min(TRAINED_ARMS, key=lambda arm: (-STUDY.arms[arm].iterations, arm))
CHAT_POINT = STUDY.last_checkpoint(CHAT_ARM, STUDY.seeds[0])
CHAT_CHECKPOINT = PATHS.checkpoint(CHAT_POINT.arm, CHAT_POINT.seed, CHAT_POINT.step)
CHAT_BASE_FILES = PATHS.base_model_files(model_of(STUDY, CHAT_ARM), TRAINED_HERE)
PROMPT_BASE_FILES = PATHS.base_model_files(STUDY.base_model, TRAINED_HERE)
# Given by a function, as braces in a title would else be taken for wildcards.
OUTLINE = specs.canonical(specs.outline(STUDY))
LOOK = specs.canonical(STUDY.figures)
STUDY_FLAGS = ["--study", STUDY.name, "--results", str(PATHS.results)]


rule collect:
    input:
        [place.evaluation(benchmark) for place, benchmark in EVALUATIONS],
        SAMPLES,
        TRAININGS,
    output:
        PATHS.scores,
    log:
        PATHS.log("collect"),
    conda:
        ENVIRONMENT
    params:
        outline=lambda wildcards: OUTLINE,
        code=fingerprint("rigsa.analysis.collect"),
        study=STUDY_FLAGS,
    shell:
        "rigsa collect {params.study:q} 2> {log:q}"


rule table:
    input:
        scores=PATHS.scores,
        samples=SAMPLES,
    output:
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
    conda:
        ENVIRONMENT
    params:
        outline=lambda wildcards: OUTLINE,
        code=lambda wildcards: fingerprint(
            "rigsa.analysis.tables", tables.MODULES[wildcards.table]
        ),
        study=STUDY_FLAGS,
    shell:
        "rigsa table {wildcards.table} {params.study:q} 2> {log:q}"


rule sample_chat:
    input:
        CHAT_CHECKPOINT.adapter_files,
        CHAT_CHECKPOINT.training,
        CHAT_BASE_FILES,
        TARGET_FILES,
        [PATHS.task_files(task) for task in STUDY.source_tasks],
    output:
        PATHS.chat,
    log:
        PATHS.log("sample_chat"),
    conda:
        ENVIRONMENT
    threads: config["threads"]["evaluate"]
    resources:
        gpu=GPU,
    params:
        code=adapter_code("rigsa.evaluation.sample", CHAT_ARM),
        base_model=PATHS.base_model(model_of(STUDY, CHAT_ARM)),
        arm_folder=CHAT_CHECKPOINT.folder,
        target=TARGET_DATA,
        sources=[PATHS.task(task) for task in STUDY.source_tasks],
    shell:
        "rigsa sample-chat --checkpoint {params.arm_folder:q} --base-model {params.base_model:q} "
        "--task-data {params.target:q} --source-data {params.sources:q} --output {output:q} "
        f"--device {DEVICE} 2> {{log:q}}"


rule figure:
    input:
        scores=PATHS.scores,
        target=TARGET_FILES,
        chat=lambda wildcards: [PATHS.chat] if wildcards.figure == "figure6" else [],
        base_model=lambda wildcards: (
            PROMPT_BASE_FILES if wildcards.figure == "figure5" else []
        ),
        samples=lambda wildcards: SAMPLES if wildcards.figure == "figure7" else [],
    output:
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
    conda:
        ENVIRONMENT
    params:
        outline=lambda wildcards: OUTLINE,
        look=LOOK,
        code=lambda wildcards: fingerprint(
            "rigsa.analysis.figures", figures.MODULES[wildcards.figure]
        ),
        study=STUDY_FLAGS,
    shell:
        "rigsa figure {wildcards.figure} {params.study:q} 2> {log:q}"


SOURCES_FILE = [PATHS.sources] if SOURCES else []
TABLE_FILES = [path for name in tables.MODULES for path in PATHS.table(name)]
FIGURE_FILES = [path for name in figures.MODULES for path in PATHS.figure(name)]


rule tables_and_figures:
    input:
        TABLE_FILES,
        FIGURE_FILES,
        SOURCES_FILE,
    localrule: True


rule report:
    input:
        TABLE_FILES,
        FIGURE_FILES,
        SOURCES_FILE,
    output:
        PATHS.report,
    log:
        PATHS.log("report"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        config=[
            f"{key}={value}"
            for key, value in config.items()
            if not isinstance(value, dict)
        ]
        + [
            f"{key}={json.dumps(config[key])}"
            for key in ("data_dir", "model_dir")
            if config.get(key)
        ],
    shell:
        # Snakemake's own reporter reads what this run has finished; it takes no lock.
        "snakemake tables_and_figures --nolock --report {output:q} "
        "--config {params.config:q} > {log:q} 2>&1"
