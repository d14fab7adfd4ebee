"""What a peer measures of itself: CPU seconds and peak memory. Peers run as programs and import it by its bare name."""

from __future__ import annotations

import json
import time
from pathlib import Path


def peak_mb() -> float:
    """Return the most memory that this process ever had; rusage would count its parent's before the exec."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


class Cost:
    """CPU since it was made, and the memory at that moment."""

    def __init__(self) -> None:
        self.rest_mb = peak_mb()
        self._began = time.process_time()

    @property
    def cpu_s(self) -> float:
        return time.process_time() - self._began


def tell(**measured: object) -> None:
    """Print it as the last line."""
    print(json.dumps(measured | {"peak_mb": peak_mb()}))
