# One job per checkpoint and benchmark, through lm-eval.


rule evaluate:
    input:
        unpack(evaluation_inputs),
        base_model=base_model_files,
    output:
        scores=ANY.evaluation("{benchmark}"),
        samples=ANY.samples("{benchmark}"),
    log:
        PATHS.log("evaluate", "{arm}", "seed{seed}", "step{step}", "{benchmark}"),
    conda:
        ENVIRONMENT
    threads: config["threads"]["evaluate"]
    resources:
        gpu=GPU,
    params:
        spec=lambda wildcards: specs.canonical(
            specs.evaluation_spec(
                STUDY, wildcards.arm, STUDY.benchmarks[wildcards.benchmark], PRECISION
            )
        ),
        code=lambda wildcards: adapter_code("rigsa.evaluation.job", wildcards.arm),
        base_model=base_model,
        task_data=lambda wildcards: PATHS.task(
            STUDY.benchmarks[wildcards.benchmark].task
        ),
        adapter=lambda wildcards: (
            ["--adapter", str(checkpoint_of(wildcards).adapter)]
            if STUDY.arms[wildcards.arm].trained
            else []
        ),
        cache=PATHS.cache,
        # A text, because Snakemake fills in no wildcards of a Path among params.
        unfinished=str(
            PATHS.unfinished(
                "evaluate", "{arm}", "seed{seed}", "step{step}", "{benchmark}"
            )
        ),
    shell:
        "rigsa evaluate {params.spec:q} --base-model {params.base_model:q} "
        "--task-data {params.task_data:q} {params.adapter:q} --output {output.scores:q} "
        "--cache {params.cache:q} --unfinished {params.unfinished:q} "
        f"{machine_flags('{threads}')} 2> {{log:q}}"
