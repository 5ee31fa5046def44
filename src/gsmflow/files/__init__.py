"""Reading and writing files: what is read is checked, what is written is written atomically."""
