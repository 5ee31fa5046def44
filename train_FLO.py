"""Train on FLO with the paper's numbers, data under data/FLO; takes the options of `gsmflow train`."""

import sys

from gsmflow.cli import main

sys.exit(main(["train", "FLO", "--preset", "FLO", *sys.argv[1:]]))
