"""What a customer does, one journey a file. A profile's `mix` names and weighs them."""

from collections.abc import Callable

from loadtests.journeys.authorise_capture import authorise_capture
from loadtests.journeys.decline import decline
from loadtests.journeys.pay import pay
from loadtests.journeys.refund import refund
from loadtests.journeys.replay import replay
from loadtests.journeys.review import review
from loadtests.journeys.status import status
from loadtests.journeys.webhook import webhook
from loadtests.shop import Customer

Journey = Callable[[Customer], None]
BY_NAME: dict[str, Journey] = {
    journey.__name__: journey
    for journey in (pay, authorise_capture, refund, status, replay, decline, webhook, review)
}
