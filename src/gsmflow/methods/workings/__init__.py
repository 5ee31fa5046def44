"""How each method is trained or solved with torch; its options are in the module of the same name one folder up."""
