# One job per checkpoint and benchmark, through lm-eval.


rule evaluate:
    input:
        made_from("evaluate"),
    output:
        scores=ANY.evaluation("{benchmark}"),
        samples=ANY.samples("{benchmark}"),
        record=record(ANY.evaluation("{benchmark}")),
    log:
        PATHS.log("evaluate", "{arm}", "seed{seed}", "step{step}", "{benchmark}"),
    conda:
        ENVIRONMENT
    threads: config["threads"]["evaluate"]
    resources:
        gpu=GPU,
        runtime=minutes_of("evaluate"),
        mem_mb=megabytes_of("evaluate"),
    params:
        spec=spec_of("evaluate"),
        base_model=untracked(base_model),
        files=untracked(flags_of("evaluate", "task_data", "adapter")),
        known=untracked(known_flags("evaluate")),
        cache=untracked(PATHS.cache),
        unfinished=unfinished("evaluate"),
        machine=untracked(MODEL_FLAGS),
    shell:
        "rigsa evaluate {params.spec:q} --base-model {params.base_model:q} {params.files:q} "
        "{params.known:q} --output {output.scores:q} --cache {params.cache:q} --unfinished {params.unfinished:q} "
        "--threads {threads} {params.machine:q} 2> {log:q}"
