"""What mistakes cost, and where thresholds are sought."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from risk_engine.api.schemas.fields import Body, ListName, Moment, period
from risk_engine.domain.thresholds import WHOLE_BP, Costs
from risk_engine.operations.propose_thresholds import Question as Wanted

BasisPoints = Annotated[int, Field(ge=0, le=WHOLE_BP)]

Cost = Annotated[int, Field(ge=0, le=10**9)]

_COSTS = Costs()


class CostMatrix(Body):
    """What mistakes cost: minor units of the reference currency, and basis points of amounts or of payers."""

    fraud_loss_bp: BasisPoints = _COSTS.fraud_loss_bp
    dispute_fee_minor: Cost = _COSTS.dispute_fee_minor
    margin_bp: BasisPoints = _COSTS.margin_bp
    review_minor: Cost = _COSTS.review_minor
    review_misses_bp: BasisPoints = _COSTS.review_misses_bp
    challenge_abandons_bp: BasisPoints = _COSTS.challenge_abandons_bp
    challenge_passes_bp: BasisPoints = _COSTS.challenge_passes_bp


class ThresholdQuestion(Body):
    """POST /v1/threshold-proposals: by default over the last 30 days."""

    costs: CostMatrix = CostMatrix()
    since: Moment | None = None
    until: Moment | None = None
    merchants: ListName | None = None
    """A list of merchants that the proposal is for; without one it is for everybody."""
    silent_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """A payment of which nobody complained for so long counts as legitimate; without it only labelled ones count."""
    may_block: bool = False

    def question(self, now: datetime) -> Wanted:
        """Raises InvalidTime when the time is empty."""
        since, until = period(self.since, self.until, now)
        costs = Costs(**self.costs.model_dump())
        return Wanted(costs, since, until, self.merchants, self.silent_days, self.may_block)
