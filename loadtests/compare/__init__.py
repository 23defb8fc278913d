"""Ledger transfers against any HTTP endpoint, ours and another's side by side in one run."""
