"""The gateway's background work: each task is one line around an operation."""

from __future__ import annotations

from payment_gateway.operations.apply_verdicts import apply_verdicts, open_following
from payment_gateway.operations.book_channel_costs import book_channel_costs
from payment_gateway.operations.chain_ledger import chain_ledger
from payment_gateway.operations.convert_balances import convert_balances
from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.erase_subjects import erase_subjects, forget_unreported
from payment_gateway.operations.expire_holds import expire_holds
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks
from payment_gateway.operations.follow_disputes import expire_disputes, send_dispute_answers
from payment_gateway.operations.make_payout import schedule_payouts
from payment_gateway.operations.reap_keys import reap_keys
from payment_gateway.operations.receive_channel_event import replay_parked_events
from payment_gateway.operations.release_reserves import release_reserves
from payment_gateway.operations.resolve_attempts import resolve_attempts
from payment_gateway.operations.rotate_vault_keys import rotate_vault_keys
from payment_gateway.operations.seal_personal_data import seal_personal_data
from payment_gateway.operations.send_payouts import send_payouts
from payment_gateway.operations.settle_captures import settle_captures
from payment_gateway.operations.settle_ledger_holds import expire_ledger_holds
from payment_gateway.operations.watch_ledger import watch_ledger
from payment_gateway.operations.watch_webhooks import watch_webhooks
from payment_gateway.operations.webhook_secrets import rotate_webhook_secrets
from payment_gateway.settings import SERVICE, Settings
from payment_gateway.store.tables import job_run
from platform_kit.tasks import PlatformCelery, async_task, create_celery, periodic


@async_task("payments.resolve_attempts")
async def resolve(deps: Deps) -> None:
    await resolve_attempts(deps)


@async_task("payments.replay_parked_events")
async def replay_parked(deps: Deps) -> None:
    await replay_parked_events(deps)


@async_task("payments.expire_holds", time_limit_s=300)
async def expire(deps: Deps) -> None:
    await expire_holds(deps)


@async_task("payments.apply_verdicts", time_limit_s=300)
async def apply_reviews(deps: Deps) -> None:
    await apply_verdicts(deps)


@async_task("payments.reap_keys", time_limit_s=300)
async def reap(deps: Deps) -> None:
    await reap_keys(deps)


@async_task("webhooks.fan_out")
async def fan_out(deps: Deps) -> None:
    await fan_out_webhooks(deps)


@async_task("webhooks.deliver")
async def deliver(deps: Deps) -> None:
    await deliver_webhooks(deps)


@async_task("webhooks.watch")
async def watch(deps: Deps) -> None:
    await watch_webhooks(deps)


@async_task("vault.rotate_keys", time_limit_s=300)
async def rotate(deps: Deps) -> None:
    await rotate_vault_keys(deps.vault)
    await rotate_webhook_secrets(deps.vault, deps.engine)


@async_task("privacy.seal", time_limit_s=300)
async def seal(deps: Deps) -> None:
    await seal_personal_data(deps)


@async_task("privacy.erase", time_limit_s=300)
async def erase(deps: Deps) -> None:
    await erase_subjects(deps)


@async_task("privacy.forget", time_limit_s=300)
async def forget(deps: Deps) -> None:
    await forget_unreported(deps)


@async_task("money.settle", time_limit_s=300)
async def settle(deps: Deps) -> None:
    await settle_captures(deps)
    await release_reserves(deps)
    await convert_balances(deps)


@async_task("money.book_costs", time_limit_s=300)
async def book_costs(deps: Deps) -> None:
    await book_channel_costs(deps)


@async_task("money.schedule_payouts", time_limit_s=300)
async def pay_out(deps: Deps) -> None:
    await schedule_payouts(deps)


@async_task("money.send_payouts", time_limit_s=300)
async def send(deps: Deps) -> None:
    await send_payouts(deps)


@async_task("money.follow_disputes", time_limit_s=300)
async def follow(deps: Deps) -> None:
    await expire_disputes(deps)
    await send_dispute_answers(deps)


@async_task("ledger.expire_holds", time_limit_s=300)
async def expire_in_ledger(deps: Deps) -> None:
    await expire_ledger_holds(deps)


@async_task("ledger.chain", time_limit_s=300)
async def chain(deps: Deps) -> None:
    await chain_ledger(deps)


@async_task("ledger.watch", time_limit_s=300)
async def watch_sums(deps: Deps) -> None:
    await watch_ledger(deps)


SCHEDULE = [
    periodic(resolve, every_s=1),
    periodic(replay_parked, every_s=1),
    periodic(fan_out, every_s=1),
    periodic(deliver, every_s=1),
    periodic(watch, every_s=10),
    periodic(expire, every_s=60),
    periodic(apply_reviews, every_s=2),
    periodic(expire_in_ledger, every_s=5),
    periodic(chain, every_s=5),
    periodic(watch_sums, every_s=60),
    periodic(reap, every_s=3600),
    periodic(rotate, every_s=300),
    periodic(seal, every_s=60),
    periodic(erase, every_s=10),
    periodic(forget, every_s=3600),
    periodic(settle, every_s=15),
    periodic(book_costs, every_s=60),
    periodic(pay_out, every_s=300),
    periodic(send, every_s=2),
    periodic(follow, every_s=2),
]


def celery_app(settings: Settings) -> PlatformCelery:
    """The Celery application of this service."""
    return create_celery(settings, SERVICE, open_deps=open_following, schedule=SCHEDULE, job_run=job_run)
