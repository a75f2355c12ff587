# The target task's images as text, stock tasks' rows as they are, and the embedded source tasks from their seeds.
rule task_data:
    input:
        made_from("task_data"),
    output:
        files_of(Job("task_data", name="{task}")),
    log:
        PATHS.log("task_data", "{task}"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        spec=spec_of("task_data"),
        folder=untracked(lambda wildcards: PATHS.task(wildcards.task)),
        given=untracked(flags_of("task_data", "given")),
    shell:
        "rigsa task-data {params.spec:q} {params.given:q} --output {params.folder:q} 2> {log:q}"
