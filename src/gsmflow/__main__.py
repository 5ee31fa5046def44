"""``python -m gsmflow`` is the command line."""

import sys

from gsmflow.cli import main

sys.exit(main())
