"""A mask with a warm-up in a study that chooses learning rates."""

from rigsa.definitions import Definitions
from rigsa.jobs import Job
from rigsa.study import load_study


def test_a_warmup_has_the_learning_rate_that_was_chosen(project) -> None:
    rates = {"learning_rate": [1e-3, 1e-2]}
    project.edit(
        "studies/methods_quick.yaml",
        lambda study: [study["arms"][arm].update(training=rates) for arm in ("rosa", "sift")],
    )
    study = load_study("methods_quick")
    graph = Definitions(study, {"precision": "float32"}).graph
    choice = Job("tune", name="rosa")
    assert graph.inputs(Job("select_mask", "rosa"))["tuning"] == choice
    trial = Job("select_mask", "rosa.lr0.01")
    assert trial in graph
    assert "tuning" not in graph.inputs(trial)
    assert "tuning" not in graph.inputs(Job("select_mask", "sift"))
    jobs = list(graph)
    assert jobs.index(choice) < jobs.index(Job("select_mask", "rosa"))
