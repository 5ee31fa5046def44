"""Devices, random streams, optimizers, recorded steps, several processes, clusters."""
