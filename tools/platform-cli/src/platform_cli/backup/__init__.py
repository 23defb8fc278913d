"""Backups and restores: the chart's own scripts, run here or in a cluster."""
