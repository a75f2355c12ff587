"""Times and memory of several sides, turn by turn in one process, as medians and ratios."""

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rigsa.files import write_json
from rigsa.versions import versions

STARTER = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def seconds(sides: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every side in every round. A first round is not counted."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, run in sides.items():
            began = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number:
                found[name].append(time.perf_counter() - began)
    return found


def peak_bytes(run: Callable[[], Any], device: str) -> int:
    """The most that PyTorch's allocator gave out at once during `run`, above what it began with."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = profiler.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    now = peak = 0
    for _, change in changes:
        now += change
        peak = max(peak, now)
    return peak


def command_cost(command: Sequence[str], folder: Path) -> dict[str, float]:
    """Seconds of a command, those that processors spent, and the peak of its largest process.

    Processor time hardly depends on what else a machine does. A process's peak begins with what
    the one that started it holds, so a small one starts it.
    """
    starter = [sys.executable, "-S", "-c", STARTER, *command]
    done = subprocess.run(starter, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)[:300]}\n{done.stderr}")
    seconds, cpu, kib = map(float, done.stdout.split())
    return {"seconds": seconds, "cpu_seconds": cpu, "mib": kib / 1024}


def summary(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def paired_ratio(values: list[float], baseline: list[float]) -> float:
    """Median of the rounds' ratios: what disturbs a round disturbs both of its sides."""
    return statistics.median(a / b for a, b in zip(values, baseline, strict=True))


def write(path: Path, settings: Mapping[str, Any], results: Any) -> None:
    """The result with what it was measured on."""
    here = {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": versions(),
    }
    write_json(path, {"settings": dict(settings), "machine": here, "results": results})
