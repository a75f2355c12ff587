"""The steps of the command line, in the order of a study."""

from rigsa.steps import adapters, analysis, data, evaluate, masks, plan, study, why

STEPS = (
    *data.STEPS,
    *masks.STEPS,
    *adapters.STEPS,
    *evaluate.STEPS,
    *analysis.STEPS,
    *study.STEPS,
    *why.STEPS,
    *plan.STEPS,
)
