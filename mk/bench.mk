##@ Measure it: each prints its figures and writes .platform/bench/<name>.json

.PHONY: bench
bench: bench-ledger bench-risk bench-ingest ## All benchmarks, one after the other

.PHONY: bench-ledger
bench-ledger: bootstrap ## Ledger writes over HTTP: no-op, group commit, a transaction each, hot accounts
	$(BIN)/python -m benchmarks.ledger

