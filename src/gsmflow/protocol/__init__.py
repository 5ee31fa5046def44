"""What may be looked at when something is chosen, and the one place where it is chosen."""
