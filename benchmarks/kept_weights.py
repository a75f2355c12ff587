"""Where int32 places or a bit mask are better, and up to which density gradients are sampled.

    python benchmarks/kept_weights.py --output kept_weights.json

For one matrix (4096, 1024) and every density: milliseconds to put the kept values into W0 and to
take them out again, by int32 places and by a mask of one bit a weight that is unpacked for it; and
of the weight gradient at the kept places, sampled or as the dense product with the kept ones taken.
"""

import argparse
from pathlib import Path

import torch
from measure import seconds, summary, write

from rigsa.adapters.sparse_delta import function
from rigsa.heap import keep_freed_memory
from rigsa.masks.storage import pack, unpack

SHAPE = torch.Size((4096, 1024))
DENSITIES = (0.01, 0.0346, 0.1, 0.2, 0.3, 0.5)


def measured(density: float, options: argparse.Namespace) -> dict[str, float]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(SHAPE, generator=generator) < density
    places = mask.view(-1).nonzero().squeeze(1).int()
    bits, weight = pack(mask), torch.randn(SHAPE)
    values, gate = torch.randn(len(places)), torch.tensor([0.5])
    x = torch.randn(options.tokens, SHAPE[1])
    grad = torch.randn(options.tokens, SHAPE[0])

    def by_places() -> None:
        with function.effective(weight, values, gate, places):
            pass

    def by_bits() -> None:
        there = unpack(bits, SHAPE)
        before = weight.masked_select(there)
        weight.masked_scatter_(there, before + values * gate)
        weight.masked_scatter_(there, before)

    sides = {
        "turn_by_places": by_places,
        "turn_by_bits": by_bits,
        "gradient_sampled": lambda: function._sampled(grad, x, SHAPE, places),
        "gradient_dense": lambda: (grad.t() @ x).view(-1)[places],
    }
    times = seconds(sides, options.rounds)
    return {name: 1000 * summary(found)["median"] for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=256, help="in a pass; default: 256")
    parser.add_argument("--rounds", type=int, default=9, help="default: 9")
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    parser.add_argument("--output", type=Path, help="JSON to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    results = {str(density): measured(density, options) for density in DENSITIES}
    names = list(next(iter(results.values())))
    print(f"{'density':>8}" + "".join(f"{name:>18}" for name in names))
    for density, row in results.items():
        print(f"{density:>8}" + "".join(f"{row[name]:18.2f}" for name in names))
    if options.output:
        write(options.output, {**vars(options), "output": str(options.output)}, results)


if __name__ == "__main__":
    main()
