# The base model, where it is trained here.
if GRAPH.trained_here:
    BASE_MODEL = Job("base_model", name=STUDY.base_model)

    rule base_model:
        input:
            made_from(BASE_MODEL),
        output:
            files_of(BASE_MODEL),
        log:
            PATHS.log("base_model", STUDY.base_model),
        conda:
            ENVIRONMENT
        threads: config["threads"]["base_model"]
        resources:
            runtime=minutes_of("base_model"),
            mem_mb=megabytes_of("base_model"),
        params:
            spec=DEFINITIONS.text(BASE_MODEL),
            folder=untracked(PATHS.base_model(STUDY.base_model)),
            tasks=untracked(
                [PATHS.task(job.name) for job in GRAPH.inputs(BASE_MODEL).values()]
            ),
            unfinished=untracked(PATHS.unfinished_base_model(STUDY.base_model)),
            machine=untracked(CHECKPOINT_FLAGS),
        shell:
            "rigsa base-model {params.spec:q} --task-data {params.tasks:q} "
            "--output {params.folder:q} --threads {threads} "
            "--unfinished {params.unfinished:q} {params.machine:q} 2>&1 | tee {log:q}"
