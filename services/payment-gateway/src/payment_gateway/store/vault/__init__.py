"""The schema `vault`: the one place of the platform that holds card numbers, sealed. Its own roles, engine and history.

Nothing but `operations.vault` imports this package (import-linter holds it to that).
"""
