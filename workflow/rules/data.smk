# The target task's images as text, stock tasks' rows as they are, and the embedded source tasks from their seeds.
rule task_data:
    input:
        task_inputs,
    output:
        PATHS.task_files("{task}"),
    log:
        PATHS.log("task_data", "{task}"),
    conda:
        ENVIRONMENT
    params:
        spec=lambda wildcards: specs.canonical(specs.task_spec(STUDY, wildcards.task)),
        code=fingerprint("rigsa.tasks.job"),
        folder=lambda wildcards: PATHS.task(wildcards.task),
        given=lambda wildcards: [
            part
            for file in task_inputs(wildcards)[:1]
            for part in ("--given", str(Path(file).parent))
        ],
    shell:
        "rigsa task-data {params.spec:q} {params.given:q} --output {params.folder:q} 2> {log:q}"
