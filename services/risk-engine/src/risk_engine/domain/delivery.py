"""How long a channel that does not take a message is left alone, and when it is given up."""

from datetime import timedelta

# The pause after each attempt: an alert of yesterday is of no use, so eight attempts in two hours and a half.
PAUSES = (
    timedelta(seconds=10),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(minutes=45),
    timedelta(minutes=80),
)
ATTEMPTS_MAX = len(PAUSES) + 1


def pause_after(attempts: int) -> timedelta | None:
    """The pause after attempt number `attempts` (from 1) failed; None = given up."""
    return PAUSES[attempts - 1] if attempts < ATTEMPTS_MAX else None
