"""The application on real servers, called in this loop."""

from collections.abc import AsyncIterator

import pytest
from risk_rig import Api, eventually

from risk_engine.app import build_app
from risk_engine.settings import Settings


@pytest.fixture
async def api(risk_settings: Settings) -> AsyncIterator[Api]:
    """A started application that is ready, with warm windows."""
    app = build_app(risk_settings)
    async with app.router.lifespan_context(app):
        api = Api(app)
        await app.state.deps.features.mark_warm()

        async def is_ready() -> bool:
            return (await api.call("GET", "/health/ready")).status == 200

        await eventually(is_ready)
        yield api
