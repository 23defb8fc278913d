"""The work contract: N accounts under Zipf 1.0, a unique key per transfer, one in a hundred sent again with its key."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random

REPEATED = 0.01
REPEAT_AFTER = 200  # transfers: by then the first one has been answered
AMOUNT_MAX = 1000


@dataclass(frozen=True, slots=True)
class Transfer:
    """One request. `is_repeat`: its key was sent before, with the same body."""

    key: str
    debit: int
    credit: int
    amount_minor: int
    is_repeat: bool = False


def transfers(accounts: int, run: str, seed: int = 1) -> Iterator[Transfer]:
    """Without end; the same for every system that is compared, but for the letters of the run."""
    rng = Random(seed)
    zipf = list(accumulate(1 / (rank + 1) for rank in range(accounts)))
    everybody = range(accounts)
    sent: deque[Transfer] = deque(maxlen=REPEAT_AFTER)
    number = 0
    while True:
        if len(sent) == REPEAT_AFTER and rng.random() < REPEATED:
            again = sent[0]
            yield Transfer(again.key, again.debit, again.credit, again.amount_minor, is_repeat=True)
            continue
        debit = rng.choices(everybody, cum_weights=zipf)[0]
        while (credit := rng.choices(everybody, cum_weights=zipf)[0]) == debit:
            continue
        made = Transfer(f"{run}-{number}", debit, credit, rng.randint(1, AMOUNT_MAX))
        number += 1
        sent.append(made)
        yield made


def expected_balances(done: Iterator[Transfer], accounts: int) -> list[int]:
    """Credits minus debits of each account when each of `done`, by its key, happened once."""
    balances = [0] * accounts
    seen = set()
    for transfer in done:
        if transfer.key not in seen:
            seen.add(transfer.key)
            balances[transfer.debit] -= transfer.amount_minor
            balances[transfer.credit] += transfer.amount_minor
    return balances
