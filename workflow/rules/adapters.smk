# The two moves of every method: choose a mask, train.


rule select_mask:
    input:
        unpack(mask_inputs),
        base_model=base_model_files,
    output:
        ANY.mask,
    log:
        PATHS.log("select_mask", "{arm}", "seed{seed}", "step{step}"),
    # The chain of an IMP arm is the longest path: its jobs go before evaluations.
    priority: 20
    conda:
        ENVIRONMENT
    threads: config["threads"]["train"]
    params:
        spec=lambda wildcards: specs.canonical(
            specs.mask_spec(
                STUDY,
                wildcards.arm,
                int(wildcards.seed),
                int(wildcards.step),
                PRECISION,
            )
        ),
        code=lambda wildcards: mask_code(wildcards.arm),
        base_model=base_model,
        files=mask_flags,
    shell:
        "rigsa select-mask {params.spec:q} --base-model {params.base_model:q} {params.files:q} "
        "--output {output:q} --threads {threads} 2> {log:q}"


rule train:
    input:
        unpack(train_inputs),
        base_model=base_model_files,
        task_data=TARGET_FILES,
    output:
        ANY.adapter_files,
        ANY.training_log,
        ANY.training,
    log:
        PATHS.log("train", "{arm}", "seed{seed}", "step{step}"),
    wildcard_constraints:
        arm="|".join(TRAINED_ARMS),
    priority: 10
    conda:
        ENVIRONMENT
    threads: config["threads"]["train"]
    resources:
        gpu=GPU,
    params:
        spec=lambda wildcards: specs.canonical(
            specs.training_spec(STUDY, wildcards.arm, int(wildcards.seed), PRECISION)
        ),
        code=lambda wildcards: adapter_code("rigsa.training.job", wildcards.arm),
        base_model=base_model,
        task_data=TARGET_DATA,
        mask=lambda wildcards: [
            part
            for file in train_inputs(wildcards).values()
            for part in ("--mask", str(file))
        ],
        folder=lambda wildcards: checkpoint_of(wildcards).folder,
        # As text: Snakemake fills in no wildcards of a path.
        unfinished=str(PATHS.unfinished("train", "{arm}", "seed{seed}", "step{step}")),
    shell:
        "rigsa train {params.spec:q} --base-model {params.base_model:q} "
        "--task-data {params.task_data:q} {params.mask:q} --output {params.folder:q} "
        "--unfinished {params.unfinished:q} {CHECKPOINT_FLAGS} "
        f"{machine_flags('{threads}')} {training_flags()} "
        "2>&1 | tee {log:q}"
