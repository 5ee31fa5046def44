"""``python -m gsmflow`` is the command line."""

from gsmflow.cli import main

main()
