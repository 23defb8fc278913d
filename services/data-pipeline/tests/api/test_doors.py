"""No answer without a token: what the console asks a log-in for is not served beside it to whoever reaches the port."""

from __future__ import annotations

import re

from running_service import Service

WITH_A_SIGNED_LINK = {
    "/v1/exports/{export_id}/file",
    "/v1/settlements/{settlement_id}/statement.{format}",
}


async def test_every_documented_operation_asks_for_the_internal_token(service: Service) -> None:
    document = await service.get("/openapi.json")
    asked = []
    for path, operations in document["paths"].items():
        for method in operations.keys() & {"get", "post", "put", "patch", "delete"}:
            if path.startswith("/v1") and path not in WITH_A_SIGNED_LINK:
                real = re.sub(r"\{\w+\}", "1", path)
                async with service.session.request(method, service.url + real, json={}) as answer:
                    asked.append((method, path, answer.status))
    assert len(asked) > 20
    assert [one for one in asked if one[2] != 401] == []
