"""One run: its folder, making it, adding classes to it, labelling with it."""
