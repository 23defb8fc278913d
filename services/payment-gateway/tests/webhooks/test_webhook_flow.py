"""Places on the way out: one for a stranger, more for the quick, one again for the slow."""

from payment_gateway.domain.webhook_flow import PLACES_MAX, QUICK_S, Flow


def after(flow: Flow, *, succeeded: bool = True, seconds: float = 0.01) -> int:
    """The free places of an endpoint after one more delivery."""
    flow.take("we_1")
    flow.give_back("we_1", succeeded=succeeded, seconds=seconds)
    return flow.free()["we_1"]


def test_an_endpoint_begins_with_one_place_and_doubles_up_to_the_limit() -> None:
    flow = Flow()
    assert "we_1" not in flow.free(), "not known yet: the claim gives it one"
    assert [after(flow) for _ in range(7)] == [2, 4, 8, 16, 32, PLACES_MAX, PLACES_MAX]


def test_a_failure_or_a_slow_success_takes_it_back_to_one() -> None:
    flow = Flow()
    assert (after(flow), after(flow), after(flow, succeeded=False)) == (2, 4, 1)
    assert (after(flow), after(flow), after(flow, seconds=QUICK_S * 1.1)) == (2, 4, 1)


def test_a_place_that_is_taken_is_not_free() -> None:
    flow = Flow()
    flow.take("we_1")
    assert flow.free() == {"we_1": 0}
    after(flow)  # a second one went out and came back well: two places, one of them taken
    assert flow.free() == {"we_1": 1}


def test_more_in_flight_than_allowed_is_no_negative_place() -> None:
    flow = Flow()
    for _ in range(3):
        flow.take("we_1")
    flow.give_back("we_1", succeeded=False, seconds=0.1)
    assert flow.free() == {"we_1": 0}
