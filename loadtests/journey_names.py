"""What a profile may ask for and an objective be about: names only, so that reading files imports no Locust."""

# journey -> the requests that it makes, as the report calls them
JOURNEYS: dict[str, tuple[str, ...]] = {
    "pay": ("pay",),
    "authorise_capture": ("authorise", "capture"),
    "refund": ("pay", "refund"),
    "status": ("pay", "status", "list"),
    "replay": ("pay", "replay"),
    "decline": ("decline",),
    "webhook": ("pay", "webhook"),
    "review": ("pay", "review", "review_decision"),
}
STEPS: tuple[str, ...] = tuple(dict.fromkeys(step for steps in JOURNEYS.values() for step in steps))
ALL = "all"  # every request together
JOURNEY = "journey"  # the whole way of one customer, from the planned arrival to the last answer
