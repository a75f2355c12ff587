"""P6: choosing a mask for 1.6 billion trained weights, from file to file.

    python benchmarks/prune.py MODEL_FOLDER --output prune.json

MODEL_FOLDER needs only the config.json of SmolLM2-1.7B. A trained adapter with random values is
written for a model of 1 layer and for the whole of it, and `rigsa select-mask` prunes both to
3.46 % by RIGSA's rule: seconds, and the memory that the process took for itself (files that it
reads are mapped and not counted). What the second takes more than the first is memory above one
layer.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from measure import write
from transformers import AutoConfig

from rigsa.models.shapes import adapted_shapes

SPEC = {
    "adapter": {"type": "sparse_delta", "init": "uniform", "dtype": "bfloat16"},
    "rule": "large_final_same_sign",
    "scope": "matrix",
    "keep": None,
    "density": 0.0346,
    "seed": 0,
}


def write_adapter(folder: Path, shapes: dict[str, torch.Size]) -> None:
    """adapter_model.safetensors, matrix by matrix: it may be larger than the memory."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        end = offset + 2 * shape.numel()
        key = f"base_model.model.{name}.sparse_delta_values"
        header[key] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    folder.mkdir()
    with open(folder / "adapter_model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            values = torch.empty(shape.numel(), dtype=torch.bfloat16).uniform_(-1, 1)
            file.write(values.view(torch.int16).numpy().tobytes())


def own_memory(process: int) -> int:
    """Bytes of the process that are not of files; 0 once it has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith("RssAnon")), "RssAnon: 0 kB")
    return int(line.split()[1]) * 1024


def prune(model: Path, layers: int, options: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder = Path(scratch)
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
        config.num_hidden_layers = layers
        config.save_pretrained(folder / "model")
        shapes = adapted_shapes(folder / "model")
        write_adapter(folder / "adapter", shapes)
        command = [
            *(sys.executable, "-m", "rigsa.cli", "select-mask", json.dumps(SPEC)),
            *("--base-model", str(folder / "model"), "--threads", str(options.threads)),
            *("--previous-adapter", str(folder / "adapter"), "--output", str(folder / "mask")),
        ]
        began, peak = time.perf_counter(), 0
        process = subprocess.Popen(command)
        while process.poll() is None:
            peak = max(peak, own_memory(process.pid))
            time.sleep(0.01)
        if process.returncode:
            sys.exit(process.returncode)
        return {
            "layers": layers,
            "weights": sum(shape.numel() for shape in shapes.values()),
            "seconds": time.perf_counter() - began,
            "peak_mib": peak / 2**20,
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    parser.add_argument("--folder", type=Path, help="where 4 GB may be written for a while")
    parser.add_argument("--output", type=Path, help="JSON to write")
    options = parser.parse_args()
    layers = AutoConfig.from_pretrained(options.model, trust_remote_code=False).num_hidden_layers
    results = [prune(options.model, count, options) for count in (1, layers)]
    for row in results:
        print(
            f"{row['layers']:3} layers {row['weights']:14,} weights {row['seconds']:6.1f} s "
            f"{row['peak_mib']:6.0f} MiB"
        )
    above = results[1]["peak_mib"] - results[0]["peak_mib"]
    print(f"memory above one layer: {above:.0f} MiB")
    if options.output:
        settings = {"model": options.model.name, "threads": options.threads, "spec": SPEC}
        write(options.output, settings, results)


if __name__ == "__main__":
    main()
