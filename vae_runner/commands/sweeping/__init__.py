"""Sweeps: their jobs one after another, in parallel processes, or several as one."""
