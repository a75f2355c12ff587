"""What each mask rule looks at; the rules themselves are in `rigsa.masks.criteria`."""

# Rules that look at a trained predecessor; the first training of such an arm is dense.
RULES_AFTER_TRAINING = frozenset(
    {
        "large_final",
        "small_final",
        "large_final_same_sign",
        "large_final_diff_sign",
        "large_init_large_final",
        "small_init_small_final",
        "magnitude_increase",
        "movement",
    }
)
RULES_WITH_GRADIENTS = frozenset({"snip", "grad", "grad_squared"})
# Rules that say nothing where every initial value is 0.
RULES_WITH_INITIAL_VALUES = frozenset(
    {
        "large_init",
        "small_init",
        "large_init_large_final",
        "small_init_small_final",
        "large_final_same_sign",
        "large_final_diff_sign",
        "snip",
    }
)
# Rules that need them at all.
RULES_AGAINST_INITIAL_VALUES = RULES_WITH_INITIAL_VALUES | {"magnitude_increase", "movement"}
# An early bird's threshold and queue (You et al. 2020, arXiv 1909.11957, section 3.2).
DISTANCE, WINDOW = 0.1, 5
