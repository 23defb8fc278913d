##@ Measure it: each prints its figures and writes .platform/bench/<name>.json

.PHONY: bench
bench: bench-ledger bench-risk bench-ingest bench-pipeline bench-payments ## All benchmarks, one after the other

.PHONY: bench-ledger
bench-ledger: bootstrap ## Ledger writes over HTTP: no-op, group commit, a transaction each, hot accounts
	$(BIN)/python -m benchmarks.ledger

.PHONY: bench-risk
bench-risk: bootstrap ## Risk decisions: rate per core and latency of the whole hot path
	$(BIN)/python -m benchmarks.risk

.PHONY: bench-ingest
bench-ingest: bootstrap ## Events per second into the warehouse, and a reconciliation of a million lines a side
	$(BIN)/python -m benchmarks.ingest

.PHONY: bench-pipeline
bench-pipeline: bootstrap ## Relay, ingest, event to console at 500/s, a reconciliation with every class of break (BENCH_SCALE=0.1: a tenth)
	$(BIN)/python -m benchmarks.pipeline

.PHONY: bench-reports
bench-reports: bootstrap ## Every report over history on DuckDB, 1 M and 10 M events (BENCH_EVENTS="…", ENGINE=spark)
	$(BIN)/python -m benchmarks.reports

.PHONY: bench-payments
bench-payments: bootstrap ## Full payments through all processes: rate, latency, CPU of each process, and the proof that all are kept
	$(BIN)/python -m benchmarks.payments

.PHONY: bench-handbook
bench-handbook: bootstrap ## The fraud handbook's benchmark: features and lengths of training side by side (ten minutes)
	nice -n 15 $(BIN)/python -m benchmarks.handbook

.PHONY: bench-handbook-api
bench-handbook-api: bootstrap ## A test week of the fraud handbook through the real decision API: its own scores, measured
	nice -n 15 $(BIN)/python -m benchmarks.handbook_api

.PHONY: bench-backtest
bench-backtest: bootstrap ## A hundred thousand stored decisions tried by 100 rules, and replayed: identical, every one
	$(BIN)/python -m benchmarks.backtest
