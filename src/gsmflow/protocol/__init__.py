"""Protocols: which data a choice may use, and the one place where choices are made."""
