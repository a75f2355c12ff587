"""The frozen base model shared out over the cards, for one that is larger than a card."""

from peft import PeftModel
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from rigsa.training.ranks import Ranks


def shard_base(adapted: PeftModel, ranks: Ranks, device: str) -> None:
    """Leaves each card its part of every base weight; a layer is put together for its turn.

    That layer is bit for bit the one of a model that is not sharded, and so is what is learnt. What
    is trained stays whole on every card: places of a sparse delta are those in a whole matrix.

    Args:
        adapted: on the CPU; it gets to the device layer by layer.
    """
    trained = {value for value in adapted.parameters() if value.requires_grad}
    mesh = init_device_mesh(device, (ranks.size,))
    layers = set(adapted.get_base_model()._no_split_modules)
    for module in [m for m in adapted.modules() if type(m).__name__ in layers]:
        fully_shard(module, mesh=mesh, ignored_params=trained)
    # All that is in no layer: embeddings, head and the last norm.
    fully_shard(adapted, mesh=mesh, ignored_params=trained)
    for value in trained:
        value.data = value.data.to(device)
