"""A made-up nvidia-smi, and what real ones print."""

from collections.abc import Iterable
from pathlib import Path

SCRIPT = """\
#!/bin/sh
case $1 in
-L) cat <<'END'
{listing}
END
;;
*) cat <<'END'
{modes}
END
esac
"""
# From reports in public issue trackers: kinds of lines and of spaces differ between drivers.
WHOLE = """\
GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-513536b6-7d19-9063-b049-1e69664bb298)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-d8594bd4-0fc3-8595-e355-7c98138f3b95)
GPU 2: NVIDIA A100-SXM4-80GB (UUID: GPU-5e375e7e-b41f-155b-dcdc-534524c356fc)
GPU 3: NVIDIA A100-SXM4-80GB (UUID: GPU-69ec2344-ebac-b028-f88f-452abb3d7f11)"""
SPLIT = """\
GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-513536b6-7d19-9063-b049-1e69664bb298)
  MIG 1g.20gb     Device  0: (UUID: MIG-ce861fb0-a248-58ce-a9a8-f9adbc22a66a)
  MIG 1g.20gb     Device  1: (UUID: MIG-a45882f0-9215-5733-a0c1-49286ab31cb5)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-d8594bd4-0fc3-8595-e355-7c98138f3b95)
GPU 2: NVIDIA A100-SXM4-80GB (UUID: GPU-5e375e7e-b41f-155b-dcdc-534524c356fc)"""
SPLIT_OLD = """\
GPU 3: A100-PCIE-40GB (UUID: GPU-aed1178e-1c4b-6b7f-00fb-5bb68359e862)
GPU 4: A100-PCIE-40GB (UUID: GPU-fb8bbc70-d551-45f9-43d4-9734f9cddb2c)
  MIG 3g.20gb Device 0: (UUID: MIG-GPU-fb8bbc70-d551-45f9-43d4-9734f9cddb2c/1/0)
  MIG 3g.20gb Device 1: (UUID: MIG-GPU-fb8bbc70-d551-45f9-43d4-9734f9cddb2c/2/0)"""
MIXED = """\
GPU 0: Tesla T4 (UUID: GPU-11111111-0000-0000-0000-000000000000)
GPU 1: NVIDIA GeForce RTX 4090 (UUID: GPU-12222222-0000-0000-0000-000000000000)"""


def uuids(count: int) -> list[str]:
    return [f"GPU-{place:08d}-aaaa-bbbb-cccc-dddddddddddd" for place in range(count)]


def listing(identities: Iterable[str], kind: str = "NVIDIA Pretended") -> str:
    return "\n".join(f"GPU {n}: {kind} (UUID: {uuid})" for n, uuid in enumerate(identities))


def pretend(folder: Path, listing: str, modes: str = "") -> Path:
    """Puts the command into a folder, which is to be the first of PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "nvidia-smi"
    command.write_text(SCRIPT.format(listing=listing, modes=modes))
    command.chmod(0o755)
    return folder
