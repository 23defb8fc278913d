"""Real Postgres and Redis from wheels: no Docker, no system package, no root needed.

Both run as ordinary child processes on free loopback ports, so several copies live side by side.
"""
