"""When a mask that moves while it trains is reselected, and how much of it; without torch.

SpIEL's schedule (Ansell et al. 2024, arXiv 2401.16405). Steps are counted from 0.
"""

from dataclasses import dataclass

EVERY, GATHER, SHARE = 20, 5, 0.2


@dataclass(frozen=True)
class Reselection:
    """The first `gather` of every `every` steps gather gradients; after the last of them it moves.

    Args:
        steps: of the whole training.
        share: of the places that may move; 1 the first time, and after it falling linearly to 0.
    """

    steps: int
    every: int = EVERY
    gather: int = GATHER
    share: float = SHARE

    def gathers(self, step: int) -> bool:
        """Whether a step adds to the gradients that the next move looks at.

        What grew after the last step would have learnt nothing, so there is no such move.
        """
        return step % self.every < self.gather and self._move(step) < self.steps - 1

    def moves(self, step: int) -> bool:
        """Whether places move after a step that gathers."""
        return step == self._move(step)

    def share_after(self, step: int) -> float:
        """The share of places that may move after a step."""
        return 1.0 if step < self.every else self.share * (1 - (step + 1) / self.steps)

    def _move(self, step: int) -> int:
        """The step after which places move, in the period of `step`."""
        return step - step % self.every + self.gather - 1
