"""Prints the table of docs/benchmarks.md from the JSON files of the benchmarks.

python benchmarks/table.py benchmarks/results
"""

import argparse
import json
from pathlib import Path
from typing import Any

# What a case is to reach: side, time ratio, memory ratio.
TARGETS = {
    "P1": ("sparse", 0.9, 0.6),
    "P2": ("sparse", 0.7, 0.5),
    "P3": ("dense", 1.1, 0.6),
    "P7": ("answer_logits", 1 / 1.2, None),
}
HEAD = ("", "setting", "side", "ms", "MiB", "time", "memory", "to reach")


def steps(path: Path) -> list[tuple[str, ...]]:
    """Rows of a training_step.py file; ratios are to its first side."""
    content = json.loads(path.read_text())
    settings: dict[str, Any] = content["settings"]
    setting = f"{settings['rows']}×{settings['tokens']} tokens"
    if settings["case"] == "P1":
        setting += f", density {settings['density']:g}"
    aim, time, memory = TARGETS[settings["case"]]
    rows = []
    for side, row in content["results"].items():
        wanted = ""
        if side == aim and settings["density"] == 0.01:
            wanted = f"≤ {time:.2f}" + (f", ≤ {memory:.2f}" if memory else "")
        rows.append(
            (
                settings["case"] if not rows else "",
                setting if not rows else "",
                side.replace("+", " + "),
                f"{1000 * row['seconds']['median']:.0f}",
                f"{row['lasting_mib'] + row['step_mib']:.0f}",
                f"{row['time_ratio']:.2f}",
                f"{row['memory_ratio']:.2f}",
                wanted,
            )
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    lines = [HEAD, tuple("---" for _ in HEAD)]
    for path in sorted(folder.glob("P*.json")):
        lines += steps(path)
    for line in lines:
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
