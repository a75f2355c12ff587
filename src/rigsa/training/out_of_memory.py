"""What is said where a training does not fit into the memory of its device."""

from rigsa.machine import Machine


def out_of_memory(machine: Machine) -> str:
    """Without a full stop, for the name of a job to stand before it."""
    ways = []
    if machine.micro_batch_size > 1:
        ways.append(f"micro_batch_size to {machine.micro_batch_size // 2}")
    if not machine.recompute_activations:
        ways.append("activation_checkpointing to full")
    remedy = (
        f"set {' or '.join(ways)} in config.yaml" if ways else "`rigsa plan` says what it needs"
    )
    return (
        f"does not fit into the {machine.device}'s memory with micro_batch_size "
        f"{machine.micro_batch_size}; {remedy}"
    )
