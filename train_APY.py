"""Train on APY with the paper's numbers, data under data/APY; takes the options of `gsmflow train`."""

import sys

from gsmflow.cli import main

sys.exit(main(["train", "APY", "--preset", "APY", *sys.argv[1:]]))
