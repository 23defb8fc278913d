"""Acts on alerts."""

from risk_engine.api.schemas.fields import Body, Note


class Acknowledgement(Body):
    """POST /v1/alerts/{alert_id}/acknowledge; the body may be left out."""

    note: Note | None = None


class Resolution(Body):
    """POST /v1/alerts/{alert_id}/resolve: why it is over, for whoever reads it in a year."""

    note: Note
