# The base model, where it is trained here.
if TRAINED_HERE:
    BASE_MODEL_TASKS = STUDY.base_model_entry["tasks"]

    rule base_model:
        input:
            [PATHS.task_files(task) for task in BASE_MODEL_TASKS],
        output:
            PATHS.base_model_files(STUDY.base_model),
        log:
            PATHS.log("base_model", STUDY.base_model),
        conda:
            ENVIRONMENT
        threads: config["threads"]["base_model"]
        params:
            spec=specs.canonical(specs.base_model_spec(STUDY)),
            code=fingerprint("rigsa.models.job"),
            folder=PATHS.base_model(STUDY.base_model),
            tasks=[PATHS.task(task) for task in BASE_MODEL_TASKS],
            unfinished=PATHS.unfinished_base_model(STUDY.base_model),
        shell:
            "rigsa base-model {params.spec:q} --task-data {params.tasks:q} "
            "--output {params.folder:q} --threads {threads} "
            "--unfinished {params.unfinished:q} {CHECKPOINT_FLAGS} 2>&1 | tee {log:q}"
