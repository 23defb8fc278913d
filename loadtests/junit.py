"""The verdict as JUnit XML, which every CI shows: one test case per objective, per audit question, and for the run."""

from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from loadtests.outcome import Outcome


@dataclass(frozen=True, slots=True)
class _Case:
    area: str
    name: str
    failure: str = ""
    error: str = ""  # JUnit's word for a test that could not be carried out


def junit(outcome: Outcome) -> str:
    """The file's text."""
    cases = list(_cases(outcome))
    failures, errors = sum(bool(case.failure) for case in cases), sum(bool(case.error) for case in cases)
    head = f"load.{outcome.profile.name}"
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuite name={quoteattr(head)} tests={quoteattr(str(len(cases)))} failures={quoteattr(str(failures))}"
        f' errors={quoteattr(str(errors))} skipped="0" time={quoteattr(f"{outcome.profile.seconds:.1f}")}'
        f" timestamp={quoteattr(str(outcome.environment.get('at', '')))}>",
    ]
    for case in cases:
        opening = f"  <testcase classname={quoteattr(f'{head}.{case.area}')} name={quoteattr(case.name)}"
        if case.failure or case.error:
            tag, message = ("failure", case.failure) if case.failure else ("error", case.error)
            lines += [f"{opening}>", f"    <{tag} message={quoteattr(message)}/>", "  </testcase>"]
        else:
            lines.append(f"{opening}/>")
    return "\n".join([*lines, "</testsuite>", ""])


def _cases(outcome: Outcome) -> Iterator[_Case]:
    yield _Case("run", "the load was what the profile says", error="; ".join(outcome.generator.reasons))
    for objective in outcome.objectives:
        name = f"{objective.subject} {objective.limit} {objective.allowed:g}"
        yield _Case("slo", name, "" if objective.is_kept else objective.sentence)
    for kind in ("lost", "doubled", "stuck", "wrong"):
        found = [finding.what for finding in outcome.verdict.findings if finding.kind == kind]
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        yield _Case("audit", f"nothing is {kind}", "; ".join(found[:5]) + more)
