"""Labels: each is looked at by itself."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, ValidationError

from platform_kit.problems import Problem, from_validation_errors
from risk_engine.api.schemas.fields import Body, Id, InvalidTime, Moment
from risk_engine.domain.labels import Label, LabelKind, LabelSource

LABELS_MAX = 1000


class NewLabel(Body):
    """One of POST /v1/labels."""

    payment_id: Id
    kind: Annotated[LabelKind, Field(strict=False)]
    event_at: Moment
    labelled_at: Moment | None = None
    assessment_id: Id | None = None

    def label(self, actor: str, now: datetime) -> Label:
        """Raises InvalidTime for a label from the future, or one that was known before it happened."""
        if self.event_at > now or (self.labelled_at or now) > now:
            raise InvalidTime("`event_at` and `labelled_at` are in the past.")
        if self.labelled_at is not None and self.labelled_at < self.event_at:
            raise InvalidTime(
                "/labelled_at: nothing is known before it happens; send a time after `event_at`."
            )
        return Label(
            payment_id=self.payment_id,
            kind=self.kind,
            source=LabelSource.UPLOAD,
            event_at=self.event_at,
            actor=actor,
            assessment_id=self.assessment_id,
            labelled_at=self.labelled_at,
        )


class LabelUpload(Body):
    """POST /v1/labels. Each item is a whole NewLabel, looked at by itself: one that is refused costs its neighbours
    nothing."""

    data: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=LABELS_MAX)]

    def labels(self, actor: str, now: datetime) -> list[Label | Problem]:
        """What each item says, or the problem that it would be answered with."""
        return [_label_or_problem(item, actor, now) for item in self.data]


def _label_or_problem(item: dict[str, Any], actor: str, now: datetime) -> Label | Problem:
    try:
        return NewLabel.model_validate(item).label(actor, now)
    except ValidationError as error:
        return from_validation_errors(error.errors())
    except InvalidTime as refused:
        return refused
