# What Snakemake cannot know of results: that they were copied without its notes, or which libraries made them.
import sys
from base64 import urlsafe_b64encode
from functools import cache

from rigsa.freshness import Freshness, State, of_other_versions

FOUND = Freshness(DEFINITIONS, PATHS)


@cache
def look_at_results():
    """Has stale results made again that Snakemake takes for fresh; names other versions.

    It is called once, by the first thing that is looked at when a whole study is planned.
    """
    unnoticed = [
        str(GRAPH.outputs(job, PATHS)[0])
        for job, state in FOUND.all().items()
        if state is State.OUTDATED or (state is State.REDEFINED and not noted(job))
    ]
    if unnoticed:
        workflow.dag.forcefiles.update([*unnoticed, str(PATHS.report)])
    if config["library_changes"] == "warn":
        line = of_other_versions(FOUND)
        if line:
            print(line, file=sys.stderr)


def name_followers():
    """After a run: what it has made again may have come out differently, on another machine say."""
    states = Freshness(DEFINITIONS, PATHS).all().values()
    count = sum(state is State.OUTDATED for state in states)
    if count:
        print(
            f"{count} results were made from files that this run made again and that came out "
            "differently; the next run makes these results again."
        )


def noted(job):
    """Whether Snakemake's own notes tell it that the job is defined otherwise now."""
    name = urlsafe_b64encode(str(GRAPH.outputs(job, PATHS)[0]).encode()).decode()
    return Path(".snakemake/metadata", name).is_file()


def results_of_the_study(wildcards):
    look_at_results()
    return PATHS.report
