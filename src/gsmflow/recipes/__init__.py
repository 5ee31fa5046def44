"""What is decided before a run: recipes and presets."""
