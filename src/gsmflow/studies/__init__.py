"""Many runs: cells, local workers, a Ray cluster, tables, tuning."""
