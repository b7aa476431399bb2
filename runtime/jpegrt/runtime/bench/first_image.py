"""A process that restores one image after another, and says when, and how much memory it took.

`cold_start.py` starts it. Arguments: model, precision, engine, threads, a JPEG, and how often to
restore it. It prints one JSON object; moments are those of the monotonic clock, which processes
of one machine share.
"""

import json
import sys
import time
from pathlib import Path

from jpegrt.runtime.bench.memory import peak_mib
from jpegrt.runtime.session import Session


def main(model: str, precision: str, engine: str, threads: str, jpeg: str, times: str) -> None:
    imported = time.perf_counter()
    content = Path(jpeg).read_bytes()
    session = Session(
        model,
        precision=None if model == "none" else precision,
        engine="auto" if model == "none" else engine,
        threads=int(threads),
    )
    opened = time.perf_counter()
    restored = []
    for _ in range(int(times)):
        session.restore(content)
        restored.append(time.perf_counter())
    report = {
        "imported": imported,
        "opened": opened,
        "restored": restored,
        "peak_mib": peak_mib(),
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
