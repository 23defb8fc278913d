"""Shapes of decisions."""

from typing import Final

from platform_kit.contract import ANYTHING, FLAG, TEXT, TIME, Schema, items, nullable, ref, shape
from risk_engine.api.answers.cases import RELATED
from risk_engine.api.answers.fields import named
from risk_engine.domain.decision import Decision

ASSESSMENT: Final = {
    "id": TEXT,
    "object": named("assessment"),
    "merchant_id": TEXT,
    "payment_id": TEXT,
    "decision": {"type": "string", "enum": [decision.value for decision in Decision]},
    "score": {
        "type": "integer",
        "minimum": 0,
        "maximum": 100,
        "description": "probability of fraud in percent; 0 with `model` in `degraded`",
    },
    "probability_ppm": nullable({"type": "integer", "minimum": 0, "maximum": 1_000_000})
    | {
        "description": "the same probability in millionths, to rank by; null with `model` in `degraded`, and of"
        " decisions made before it was kept"
    },
    "reasons": items(shape({"code": TEXT, "text": TEXT})),
    "rule_set": TEXT | {"description": "content hash of the rules that decided"},
    "model": nullable(TEXT),
    "degraded": items(TEXT) | {"description": "parts that were missing; see docs/risk.md"},
    "expires_at": TIME,
}

SCHEMAS: Final[dict[str, Schema]] = {
    "AssessmentRecord": shape(
        {
            **ASSESSMENT,
            "request": ANYTHING,
            "facts": ANYTHING,
            "trace": ANYTHING,
            "explanation": nullable(
                shape(
                    {
                        "model": TEXT,
                        "reasons": items(
                            shape(
                                {
                                    "code": TEXT,
                                    "text": TEXT,
                                    "feature": TEXT,
                                    "value": {"type": "number"},
                                    "contribution": {"type": "number"},
                                }
                            )
                        ),
                    }
                )
            )
            | {"description": "what raised the score most; null until the worker has explained it"},
            "other": nullable(ANYTHING) | {"description": "on trial: what the set that did not decide said"},
            "is_late": FLAG,
            "created_at": TIME,
        }
    ),
    "AssessmentAnswers": shape(
        {
            "data": items(
                {
                    "oneOf": [
                        shape(
                            {
                                "status": {"type": "integer", "const": 200},
                                "assessment": ref("AssessmentAnswer"),
                            }
                        ),
                        shape({"status": {"type": "integer", "minimum": 400}, "problem": ref("Problem")}),
                    ]
                }
            )
        }
    ),
    "RelatedPayments": shape({"data": items(RELATED)}),
    "AssessmentPage": shape(
        {
            "data": items(
                shape({**ASSESSMENT, "request": ANYTHING, "hits": items(TEXT), "created_at": TIME})
            ),
            "next_cursor": nullable(TEXT),
            "searched_to": nullable(TIME)
            | {
                "description": "set when the page ends because enough was searched: older ones follow the cursor"
            },
        }
    ),
}
