"""The whole platform on one machine: its state directory, its processes, and what brings them up and down."""
