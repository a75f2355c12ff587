"""Whether a run finds the GPUs that its jobs need, asked before the first of them begins."""

from collections.abc import Sequence

from rigsa.cards import asked, visible_cards
from rigsa.errors import RigsaError
from rigsa.leases import enough

CHECK = """\
import sys
from rigsa.device import check_device
from rigsa.errors import RigsaError
try:
    check_device("cuda", sys.argv[1])
except RigsaError as error:
    print(error)
"""


def check_gpus(precision: str, needs: Sequence[int], at_once: int) -> str | None:
    """Returns a line for the user where jobs are going to wait for one another.

    Args:
        needs: for how many GPUs each job asks.
        at_once: how many GPUs the jobs may ask for at a time.

    Raises:
        RigsaError: where a job needs more than there are, or cannot compute on one of them.
    """
    cards = visible_cards()
    if cards:
        enough(cards, max(needs))
    # Any card may be a job's, but those of one kind are all alike.
    for card in {card.kind: card for card in cards}.values() or [None]:
        said = asked(CHECK, precision, visible=card).strip()
        if said:
            raise RigsaError(said)
    if min(at_once, sum(needs)) <= len(cards):
        return None
    return (
        f"Jobs for {min(at_once, sum(needs))} GPUs may run at once, and {len(cards)} are visible "
        f"here, so that some wait for others; --resources gpu={len(cards)} begins no more than fit."
    )
