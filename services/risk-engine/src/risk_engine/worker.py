"""Background tasks of the risk engine; each is one line around an operation."""

from platform_kit.tasks import PlatformCelery, async_task, create_celery, periodic
from risk_engine.operations.backtest_rule_set import run_backtests
from risk_engine.operations.chain_assessments import chain_assessments
from risk_engine.operations.deliver_alerts import deliver_alerts
from risk_engine.operations.deps import Deps, open_deps
from risk_engine.operations.explain_decisions import explain_decisions
from risk_engine.operations.forget_old_rows import forget_old_rows
from risk_engine.operations.raise_alerts import raise_alerts
from risk_engine.operations.send_heartbeat import send_heartbeat
from risk_engine.operations.watch_cases import watch_cases
from risk_engine.operations.watch_chain import watch_chain
from risk_engine.operations.watch_decisions import watch_decisions
from risk_engine.operations.watch_drift import watch_drift
from risk_engine.operations.watch_quality import watch_quality
from risk_engine.settings import SERVICE, Settings
from risk_engine.store import tables


@async_task("risk.raise_alerts", time_limit_s=55)
async def look_for_trouble(deps: Deps) -> None:
    """Every minute: is there trouble, and is it over?"""
    await raise_alerts(deps)
    await watch_cases(deps)


@async_task("risk.deliver_alerts", time_limit_s=40)
async def tell_channels(deps: Deps) -> None:
    """Every five seconds: send what is due."""
    await deliver_alerts(deps)


@async_task("risk.send_heartbeat", time_limit_s=30)
async def show_life(deps: Deps) -> None:
    """Every minute: tell the dead-man's switch that alerting works."""
    await send_heartbeat(deps)


@async_task("risk.watch_drift", time_limit_s=60)
async def compare_with_reference(deps: Deps) -> None:
    """Every ten minutes: does the model see what it saw?"""
    await watch_drift(deps)


@async_task("risk.watch_quality", time_limit_s=60)
async def judge_model(deps: Deps) -> None:
    """Every hour: is the model as good as it was?"""
    await watch_quality(deps)


@async_task("risk.forget_old_rows", time_limit_s=120)
async def clean_up(deps: Deps) -> None:
    """Every hour: forget what no window reads any more."""
    await forget_old_rows(deps)


@async_task("risk.explain_decisions", time_limit_s=60)
async def explain(deps: Deps) -> None:
    """Every few seconds: which features made the score of what was not allowed?"""
    await explain_decisions(deps)


@async_task("risk.chain_assessments", time_limit_s=60)
async def chain(deps: Deps) -> None:
    """Every five seconds: chain what was stored since."""
    await chain_assessments(deps)


@async_task("risk.watch_chain", time_limit_s=50)
async def doubt(deps: Deps) -> None:
    """Every minute: does the next slice of the chain still follow from what is stored?"""
    await watch_chain(deps)


@async_task("risk.watch_decisions", time_limit_s=50)
async def compare_with_gateway(deps: Deps) -> None:
    """Every minute: did the gateway act upon what is stored?"""
    await watch_decisions(deps)


@async_task("risk.run_backtests", time_limit_s=600)
async def backtest(deps: Deps) -> None:
    """Every five seconds: run the backtests that people asked for."""
    await run_backtests(deps)


def create_worker(settings: Settings) -> PlatformCelery:
    """The Celery application of this service, schedule included."""
    return create_celery(
        settings,
        SERVICE,
        open_deps=open_deps,
        schedule=[
            periodic(chain, every_s=5),
            periodic(backtest, every_s=5),
            periodic(explain, every_s=5),
            periodic(look_for_trouble, every_s=60),
            periodic(tell_channels, every_s=5),
            periodic(show_life, every_s=60),
            periodic(doubt, every_s=60),
            periodic(compare_with_gateway, every_s=60),
            periodic(compare_with_reference, every_s=600),
            periodic(judge_model, every_s=3600),
            periodic(clean_up, every_s=3600),
        ],
        job_run=tables.job_run,
    )
