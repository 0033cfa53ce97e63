"""Measurements of one property each; every module is a process that prints its result as the last line, in JSON."""
