# The two moves of every method: choose a mask, train.
TARGET_DATA = PATHS.task(STUDY.target_task)
TARGET_FILES = PATHS.task_files(STUDY.target_task)


def mask_inputs(wildcards):
    """Files that the arm's rule looks at, by the flag of `rigsa select-mask` that takes them."""
    arm, step = STUDY.arms[wildcards.arm], int(wildcards.step)
    criterion, files = arm.mask["rule"], {}
    if step > 0:
        before = PATHS.checkpoint(arm.name, wildcards.seed, step - 1)
        if criterion in RULES_AFTER_TRAINING:
            files["previous_adapter"] = before.adapter_files
        if arm.masked(step - 1):
            files["previous_mask"] = before.mask
    if "density_of" in arm.mask:
        last = STUDY.last_checkpoint(arm.mask["density_of"], wildcards.seed)
        files["reference_mask"] = PATHS.checkpoint(last.arm, last.seed, last.step).mask
    if criterion in RULES_WITH_GRADIENTS:
        files["task_data"] = TARGET_FILES
    return files


def mask_flags(wildcards):
    """The same as flags; a folder is named by its folder, not by its files."""
    flags = []
    for name, files in mask_inputs(wildcards).items():
        place = files[0].parent if isinstance(files, list) else files
        flags += [f"--{name.replace('_', '-')}", str(place)]
    return flags


rule select_mask:
    input:
        unpack(mask_inputs),
        base_model=BASE_MODEL_FILES,
    output:
        ANY.mask,
    log:
        PATHS.log("select_mask", "{arm}", "seed{seed}", "step{step}"),
    params:
        spec=lambda wildcards: specs.canonical(
            specs.mask_spec(STUDY, wildcards.arm, int(wildcards.seed), int(wildcards.step), PRECISION)
        ),
        code=fingerprint("rigsa.masks.job", "rigsa.models.shapes"),
        base_model=BASE_MODEL,
        files=mask_flags,
    threads: config["threads"]["train"]
    shell:
        "rigsa select-mask {params.spec:q} --base-model {params.base_model:q} {params.files:q} "
        "--output {output:q} --threads {threads} 2> {log:q}"


def train_inputs(wildcards):
    masked = STUDY.arms[wildcards.arm].masked(int(wildcards.step))
    return {"mask": checkpoint_of(wildcards).mask} if masked else {}


rule train:
    input:
        unpack(train_inputs),
        base_model=BASE_MODEL_FILES,
        task_data=TARGET_FILES,
    output:
        ANY.adapter_files,
        ANY.training_log,
        ANY.training,
    log:
        PATHS.log("train", "{arm}", "seed{seed}", "step{step}"),
    wildcard_constraints:
        arm="|".join(TRAINED_ARMS),
    params:
        spec=lambda wildcards: specs.canonical(
            specs.training_spec(STUDY, wildcards.arm, int(wildcards.seed), PRECISION)
        ),
        code=fingerprint("rigsa.training.job", "rigsa.adapters.sparse_delta"),
        base_model=BASE_MODEL,
        task_data=TARGET_DATA,
        mask=lambda wildcards: [
            part for file in train_inputs(wildcards).values() for part in ("--mask", str(file))
        ],
        folder=lambda wildcards: checkpoint_of(wildcards).folder,
    threads: config["threads"]["train"]
    resources:
        gpu=GPU,
    shell:
        "rigsa train {params.spec:q} --base-model {params.base_model:q} "
        "--task-data {params.task_data:q} {params.mask:q} --output {params.folder:q} "
        f"{machine_flags('{threads}')} --micro-batch-size {config['micro_batch_size']} "
        "2>&1 | tee {log:q}"
