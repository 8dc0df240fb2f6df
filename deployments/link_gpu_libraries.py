"""Link GPU libraries: let TensorFlow's loader find cuSOLVER, whose folder it does not search. `make gpu` and the image run this.

python deployments/link_gpu_libraries.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installing, and from any folder

from tasks.networks.gpu_libraries import OVERLOOKED, link_overlooked
from tasks.settings.messages import say


def main() -> None:
    """Link the library, and print where the link is."""
    link = link_overlooked()
    no_link = f"no {OVERLOOKED} to link: NVIDIA's packages are not installed"
    say(f"{OVERLOOKED} is linked: {link}" if link else no_link)


if __name__ == "__main__":
    main()
