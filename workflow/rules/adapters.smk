# The two moves of every method: choose a mask, train.
MASK_INPUTS = (
    *("previous_adapter", "previous_mask", "reference_mask"),
    *("task_data", "tuning", "rewind"),
)
# Before these masks are chosen there is a short training, which has a card and the settings of one.
WARMED_UP = [arm.name for arm in (*STUDY.arms.values(), *TRIALS) if arm.warmup]


rule select_mask:
    input:
        made_from("select_mask"),
    output:
        mask=ANY.mask,
        record=record(ANY.mask),
    log:
        PATHS.log("select_mask", "{arm}", "seed{seed}", "step{step}"),
    # The chain of an IMP arm is the longest path: its jobs go before evaluations.
    priority: 20
    localrule: SMALL_MODEL and not (GPU and WARMED_UP)
    conda:
        ENVIRONMENT
    threads: config["threads"]["train"]
    resources:
        gpu=lambda wildcards: GPU * (wildcards.arm in WARMED_UP),
        runtime=minutes_of("select_mask"),
        mem_mb=megabytes_of("select_mask"),
    params:
        spec=spec_of("select_mask"),
        base_model=untracked(base_model),
        files=untracked(flags_of("select_mask", *MASK_INPUTS)),
        machine=untracked(
            lambda wildcards: (MODEL_FLAGS + TRAINING_FLAGS)
            * (wildcards.arm in WARMED_UP)
        ),
    shell:
        "rigsa select-mask {params.spec:q} --base-model {params.base_model:q} {params.files:q} "
        "--output {output.mask:q} --threads {threads} {params.machine:q} 2> {log:q}"


rule train:
    input:
        made_from("train"),
    output:
        ANY.adapter_files,
        ANY.training_log,
        ANY.training,
        record(ANY.training),
    log:
        PATHS.log("train", "{arm}", "seed{seed}", "step{step}"),
    wildcard_constraints:
        arm="|".join(map(re.escape, TRAINED_ARMS)),
    priority: 10
    conda:
        ENVIRONMENT
    # On a CPU, processes take the place of cards.
    threads: lambda wildcards: config["threads"]["train"] * (1 if GPU else gpus_of(wildcards))
    resources:
        gpu=lambda wildcards: GPU * gpus_of(wildcards),
        runtime=minutes_of("train"),
        mem_mb=megabytes_of("train"),
    params:
        spec=spec_of("train"),
        base_model=untracked(base_model),
        task_data=untracked(TARGET_DATA),
        files=untracked(flags_of("train", "mask", "rewind", "tuning")),
        replay=untracked(replay_flags),
        known=untracked(known_flags("train")),
        folder=untracked(lambda wildcards: checkpoint_of(wildcards).folder),
        unfinished=unfinished("train"),
        machine=untracked(MODEL_FLAGS + TRAINING_FLAGS + CHECKPOINT_FLAGS),
    shell:
        "rigsa train {params.spec:q} --base-model {params.base_model:q} "
        "--task-data {params.task_data:q} {params.files:q} {params.replay:q} "
        "{params.known:q} --output {params.folder:q} "
        "--unfinished {params.unfinished:q} --threads {threads} {params.machine:q} "
        "2>&1 | tee {log:q}"


# Where an arm has several learning rates: chosen by the trainings with each of them.
rule tune:
    input:
        made_from("tune"),
    output:
        chosen=PATHS.tuning("{tuned}"),
        record=record(PATHS.tuning("{tuned}")),
    log:
        PATHS.log("tune", "{tuned}"),
    priority: 20
    localrule: True
    conda:
        ENVIRONMENT
    params:
        spec=spec_of("tune"),
        trials=untracked(
            lambda wildcards: [
                place_of(job).parent for job in GRAPH.trials(wildcards.tuned).values()
            ]
        ),
    shell:
        "rigsa tune {params.spec:q} --trials {params.trials:q} --output {output.chosen:q} "
        "2> {log:q}"
