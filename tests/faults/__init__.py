"""Faults: kills, full disks, damaged files, clocks, signals.  `make faults` runs the long form."""
