"""Bodies of the requests: unknown members, floats, nulls in wrong places and card numbers are refused here."""
