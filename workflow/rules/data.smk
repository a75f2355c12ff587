# The target task's images as text, and the embedded source tasks from their seeds.
rule task_data:
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
    shell:
        "rigsa task-data {params.spec:q} --output {params.folder:q} 2> {log:q}"
