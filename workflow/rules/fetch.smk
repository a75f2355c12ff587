# What comes from outside: base models and data, from the hub or from folders. The only jobs that use the network.
FETCHES = {f"fetch_{source.name}": source for source in SOURCES}


def fetch_first(jobs):
    """Gets what is missing before any other job starts, so that a failure costs no computing.

    It is no input of all other jobs, because one new task would then invalidate every training.
    """
    names = {job.rule.name for job in jobs}
    if names <= {*FETCHES, "fetch", "sources"}:
        return
    for name in FETCHES:
        if name in names:
            spec = specs.canonical(FETCHES[name].spec)
            folder = PATHS.source(FETCHES[name].kind, FETCHES[name].name).parent
            try:
                shell("rigsa fetch {spec:q} --output {folder:q}")
            except CalledProcessError:
                sys.exit(
                    "Error: not all models and data are at hand; nothing was started."
                )


for SOURCE in SOURCES:

    rule:
        name:
            f"fetch_{SOURCE.name}"
        output:
            source_files(SOURCE),
        log:
            PATHS.log("fetch", SOURCE.name),
        # It is needed on the machine that has a network, which a cluster's nodes often have not.
        localrule: True
        conda:
            ENVIRONMENT
        params:
            spec=specs.canonical(SOURCE.spec),
            folder=PATHS.source(SOURCE.kind, SOURCE.name).parent,
        message:
            SOURCE.note
        shell:
            "rigsa fetch {params.spec:q} --output {params.folder:q} 2>&1 | tee {log:q}"


rule fetch:
    input:
        [PATHS.source(source.kind, source.name) for source in SOURCES],
    localrule: True


rule sources:
    input:
        [PATHS.source(source.kind, source.name) for source in SOURCES],
    output:
        report(PATHS.sources, caption="../report/sources.rst", category="Sources"),
    log:
        PATHS.log("sources"),
    localrule: True
    conda:
        ENVIRONMENT
    shell:
        "rigsa sources {input:q} --output {output:q} 2> {log:q}"
