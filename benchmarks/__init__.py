"""Measurements as commands: each prints its figures and writes them to .platform/bench/<name>.json."""
