# What comes from outside: base models and data, from the hub or from folders. The only jobs that use the network.
for SOURCE in SOURCES:

    rule:
        name:
            f"fetch_{SOURCE.name}"
        output:
            files_of(Job("fetch", name=SOURCE.name)),
        log:
            PATHS.log("fetch", SOURCE.name),
        # It is needed on the machine that has a network, which a cluster's nodes often have not.
        localrule: True
        conda:
            ENVIRONMENT
        params:
            spec=DEFINITIONS.text(Job("fetch", name=SOURCE.name)),
            folder=untracked(PATHS.source(SOURCE.kind, SOURCE.name).parent),
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
    params:
        sources=specs.digest(
            {source.name: specs.plain(source.spec) for source in SOURCES}
        ),
    shell:
        "rigsa sources {input:q} --output {output:q} 2> {log:q}"
