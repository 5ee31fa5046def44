"""Train on AWA2 with the paper's numbers, data under data/AWA2; takes the options of `gsmflow train`."""

import sys

from gsmflow.cli import main

sys.exit(main(["train", "AWA2", "--preset", "AWA2", *sys.argv[1:]]))
