"""Files of strangers and our own: checked at the door, written atomically."""
