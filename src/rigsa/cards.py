"""Which cards a job may use: GPUs, or the MIG instances of them. Found without starting CUDA."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rigsa.errors import RigsaError

VISIBLE, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
# A broken card can keep nvidia-smi for ever.
PATIENCE = 120
GPU = re.compile(r"GPU (\d+): (.+) \(UUID: (\S+)\)")
INSTANCE = re.compile(r"\s+MIG (\S+) +Device +\d+: \(UUID: (\S+)\)")
LIST_BY_TORCH = """\
import json, torch
cards = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
print(json.dumps([(card.name, str(card.uuid)) for card in cards]))
"""


@dataclass(frozen=True)
class Card:
    """What CUDA computes on.

    Attributes:
        identity: its UUID as in CUDA_VISIBLE_DEVICES, the same however a run has named it.
        kind: NVIDIA's name of it.
    """

    identity: str
    kind: str

    @property
    def is_instance(self) -> bool:
        """Whether it is a part of a GPU. CUDA gives a process one such part at most."""
        return self.identity.startswith("MIG-")


@dataclass(frozen=True)
class Gpu:
    """A line of `nvidia-smi -L` with the lines of its MIG instances below it."""

    number: int
    whole: Card
    instances: tuple[Card, ...] = ()

    @property
    def cards(self) -> tuple[Card, ...]:
        return self.instances or (self.whole,)


def visible_cards() -> list[Card]:
    """What CUDA_VISIBLE_DEVICES leaves of this machine's cards, in its order.

    Raises:
        RigsaError: where it numbers GPUs of several kinds, which CUDA and nvidia-smi order each in
            its own way, or where nobody answers.
    """
    gpus = _listed()
    if not gpus:
        return _seen_by_torch()
    value = os.environ.get(VISIBLE)
    if value is None:
        return [card for gpu in gpus for card in gpu.cards]
    return named(value, gpus, os.environ.get(ORDER, ""))


def named(value: str, gpus: Sequence[Gpu], order: str = "") -> list[Card]:
    """The cards that a value of CUDA_VISIBLE_DEVICES names.

    By CUDA's rules (Programming Guide, "CUDA Environment Variables", and what PyTorch's own reading
    of it, `torch.cuda._parse_visible_devices`, adds): numbers or UUIDs, also the beginning of one
    where it is no other's; the first entry that names no card ends the list; a card that is named
    twice makes it empty. A GPU that is split stands for all of its instances.
    """
    entries = [entry.strip() for entry in value.split(",")]
    by_uuid = entries[0].startswith(("GPU-", "MIG-"))
    found: list[Gpu] = []
    for entry in entries:
        gpu = _by_uuid(entry, gpus) if by_uuid else _by_number(entry, gpus)
        if gpu is None:
            break
        found.append(gpu)
    kinds = {gpu.whole.kind for gpu in gpus}
    # Where all are named, it is no matter which number is whose.
    if not by_uuid and found and len(found) < len(gpus) and len(kinds) > 1:
        _refuse_own_order(value, order)
    cards = [card for gpu in found for card in gpu.cards]
    return cards if len(set(cards)) == len(cards) else []


def parsed(listing: str) -> list[Gpu]:
    """The GPUs in the output of `nvidia-smi -L`."""
    gpus: list[Gpu] = []
    for line in listing.splitlines():
        if match := GPU.match(line):
            number, kind, uuid = match.groups()
            # An integrated GPU has a UUID that CUDA_VISIBLE_DEVICES does not take.
            identity = uuid if uuid.startswith("GPU-") else number
            gpus.append(Gpu(int(number), Card(identity, kind)))
        elif (match := INSTANCE.match(line)) and gpus:
            *before, gpu = gpus
            part = Card(match[2], f"{gpu.whole.kind} MIG {match[1]}")
            gpus = [*before, Gpu(gpu.number, gpu.whole, (*gpu.instances, part))]
    return gpus


def _by_number(entry: str, gpus: Sequence[Gpu]) -> Gpu | None:
    # CUDA reads as far as there are digits, as C does.
    digits = re.match(r"[+-]?\d+", entry)
    return next((gpu for gpu in gpus if digits and gpu.number == int(digits[0])), None)


def _by_uuid(entry: str, gpus: Sequence[Gpu]) -> Gpu | None:
    if entry in ("", "GPU-", "MIG-"):
        return None
    # A single instance is found as a GPU that has only this one.
    parts = [Gpu(gpu.number, gpu.whole, (part,)) for gpu in gpus for part in gpu.instances]
    identities = [(gpu.whole.identity, gpu) for gpu in gpus]
    identities += [(gpu.instances[0].identity, gpu) for gpu in parts]
    exact = [gpu for identity, gpu in identities if identity == entry]
    fitting = exact or [gpu for identity, gpu in identities if identity.startswith(entry)]
    return fitting[0] if len(fitting) == 1 else None


def _refuse_own_order(value: str, order: str) -> None:
    if order != "PCI_BUS_ID":
        raise RigsaError(
            f"{VISIBLE} is {value!r}, but the GPUs here are of several kinds, which CUDA numbers "
            f"by speed and nvidia-smi by place; set {ORDER}=PCI_BUS_ID for the latter's numbers, "
            "or name them by their UUIDs (nvidia-smi -L)."
        )


def _listed() -> list[Gpu]:
    gpus = parsed(_nvidia_smi("-L"))
    if not any(gpu.instances for gpu in gpus):
        return gpus
    # A GPU that is to be split and is not yet cannot compute.
    modes = _nvidia_smi("--query-gpu=uuid,mig.mode.current", "--format=csv,noheader")
    split = {line.split(",")[0] for line in modes.splitlines() if line.endswith(" Enabled")}
    return [gpu for gpu in gpus if gpu.instances or gpu.whole.identity not in split]


def _nvidia_smi(*arguments: str) -> str:
    """What it prints; nothing where it is absent, as in some containers, or finds no driver."""
    try:
        return _run(["nvidia-smi", *arguments]).stdout
    except FileNotFoundError:
        return ""


def _seen_by_torch() -> list[Card]:
    """The same for a machine without nvidia-smi: CUDA itself follows the variables."""
    return [
        Card(("MIG-" if " MIG " in kind else "GPU-") + uuid, kind)
        for kind, uuid in json.loads(asked(LIST_BY_TORCH))
    ]


def asked(code: str, *arguments: str, visible: Card | None = None) -> str:
    """What Python code about GPUs prints, in a process of its own.

    CUDA reads its variables once, when it starts, and takes memory of a card from then on: neither
    may happen in this process.

    Args:
        visible: the one card that the code shall see.

    Raises:
        RigsaError: if the code fails.
    """
    environment = dict(os.environ)
    if visible is not None:
        environment[VISIBLE] = visible.identity
    done = _run([sys.executable, "-P", "-c", code, *arguments], environment)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise RigsaError(f"torch cannot use the GPUs here ({last}); set device to cpu.")
    return done.stdout


def _run(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE, env=environment
        )
    except subprocess.TimeoutExpired:
        raise RigsaError(
            f"{command[0]} has not said in {PATIENCE} s which GPUs there are; see whether "
            "`nvidia-smi -L` answers, or set device to cpu."
        ) from None
