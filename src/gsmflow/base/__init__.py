"""What every other room may use: errors, options, the registry, suggestions, progress."""
