"""Train on CUB with the paper's numbers, data under data/CUB; takes the options of `gsmflow train`."""

import sys

from gsmflow.cli import main

sys.exit(main(["train", "CUB", "--preset", "CUB", *sys.argv[1:]]))
