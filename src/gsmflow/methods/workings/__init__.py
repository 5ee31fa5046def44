"""How each method is trained or solved, by torch; its name and options are in the module of the same name above."""
