"""What the ranks of a training do together: gradients are summed, stops are decided by one."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from signal import Signals

import torch
import torch.distributed as dist

from rigsa.device import check_device
from rigsa.errors import RigsaError
from rigsa.training.ranks import Ranks

Tensor = torch.Tensor
# While rank 0 writes a state the others wait. One that is dead is not waited for: see ranks.py.
PATIENCE = timedelta(hours=2)


@contextmanager
def joined(ranks: Ranks, device: str, precision: str) -> Iterator[None]:
    """Connects the ranks, each with the card of its number, within the block.

    They meet in a file: a port would have to be free, and could be seen from outside.
    """
    if ranks.size == 1:
        yield
        return
    options = {}
    check_device(device, precision)
    if device == "cuda":
        torch.cuda.set_device(ranks.rank)
        options["device_id"] = torch.device("cuda", ranks.rank)
        _without_peers_where_there_are_none()
    dist.init_process_group(
        "nccl" if device == "cuda" else "gloo",
        store=dist.FileStore(str(ranks.folder / "store"), ranks.size),
        rank=ranks.rank,
        world_size=ranks.size,
        timeout=PATIENCE,
        **options,
    )
    yield
    # Not where the block has raised: a card may wait for a rank that is dead, and so would this.
    dist.destroy_process_group()


def sum_gradients(
    ranks: Ranks, tensors: Iterable[Tensor], loss: Tensor, failed: bool
) -> tuple[Tensor, Tensor]:
    """Gives all ranks the sums of tensors' gradients; returns that of losses, and who has failed.

    Once a step and tensor by tensor, where DDP has buckets: these are laid out anew after the first
    step, so that with three ranks or more a sum would be rounded in another order after a resume,
    and by default take the gradients' memory again. Nor does DDP go with weights in parts.
    """
    failures = torch.zeros(ranks.size, device=loss.device)
    failures[ranks.rank] = float(failed)
    trained = [value for value in tensors if value.requires_grad]
    for value in trained:
        if value.grad is None:
            value.grad = torch.zeros_like(value)
    shared = [loss, failures, *(value.grad for value in trained)]
    for work in [dist.all_reduce(tensor, async_op=True) for tensor in shared]:
        work.wait()
    return loss, failures


def decided_by_rank_0(
    ranks: Ranks, asked: Callable[[], Signals | None], device: torch.device | str
) -> Callable[[], Signals | None]:
    """The same question, with the answer of rank 0 on every rank."""
    if ranks.size == 1:
        return asked

    def answer() -> Signals | None:
        given = torch.tensor([asked() or 0], device=device)
        dist.broadcast(given, src=0)
        return Signals(given.item()) if given.item() else None

    return answer


def check_alike(ranks: Ranks, tensors: Iterable[Tensor]) -> None:
    """Raises RigsaError where ranks have come to different values, which no sum would show."""
    if ranks.size == 1:
        return
    own = torch.stack([tensor.detach().double().sum() for tensor in tensors])
    first = own.clone()
    dist.broadcast(first, src=0)
    differ = (own != first).any().float()
    dist.all_reduce(differ)
    if differ:
        raise RigsaError(
            "the ranks have come to different values, which must not be; please report it with the "
            "names of the cards, and set gpus to 1."
        )


def _without_peers_where_there_are_none() -> None:
    """GeForce cards of the 40 series cannot reach each other's memory, and accelerate insists."""
    from accelerate.utils import check_cuda_p2p_ib_support

    if not check_cuda_p2p_ib_support():
        os.environ["NCCL_P2P_DISABLE"] = "1"
