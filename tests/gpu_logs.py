"""GPU logs: read what TensorFlow 2.21 wrote about failures that were made on purpose, as `gpu_signs` reads it.

`tensorflow_logs/` holds the lines as they came, with paths shortened. On a machine without a GPU, stand-ins for the driver and for NVIDIA's
libraries failed in one way each.
"""

import json
from pathlib import Path

from tasks.networks.gpu_signs import GpuProbe, read_probe

FOLDER = Path(__file__).parent / "tensorflow_logs"


def logged_probe(failure: str, **answer: object) -> GpuProbe:
    """Return what is read of the log of this failure."""
    told = {"gpus": [], "cuda": "12.5.1", "faults": {}} | answer
    log = (FOLDER / f"{failure.replace(' ', '_')}.txt").read_text(encoding="utf-8")
    return read_probe(f"a library's own words\n{json.dumps(told)}\n", log)
