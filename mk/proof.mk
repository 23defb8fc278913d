##@ Prove it further

.PHONY: mutants proof-nightly proof-windows
mutants: bootstrap ## Take each money guard away in a copy and see its tests turn red (MUTANTS="refund capture")
	$(BIN)/python -m platform_cli.run_mutants $(MUTANTS)

proof-windows: bootstrap ## The handbook's whole history through Redis and SQL: every window equal (PROOF_MINUTES=55 of it)
	PROOF_SCALE=50 nice -n 15 $(BIN)/pytest -s services/risk-engine/tests/store/test_window_parity.py

proof-nightly: bootstrap ## P2, P4 and the state machines fifty times larger, the whole history of windows, then all mutants
	PROOF_SCALE=50 $(BIN)/pytest services/payment-gateway/tests/money_bugs services/payment-gateway/tests/property --timeout 7200
	$(MAKE) proof-windows
	$(BIN)/python -m platform_cli.run_mutants
