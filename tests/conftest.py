"""What every test starts from."""

import os

os.environ.pop("GSMFLOW_DATA", None)  # or tests of missing data would find those of whoever runs them
