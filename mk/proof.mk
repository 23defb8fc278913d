##@ Prove it further

.PHONY: mutants proof-nightly
mutants: bootstrap ## Take each money guard away in a copy and see its tests turn red (MUTANTS="refund capture")
	$(BIN)/python -m platform_cli.run_mutants $(MUTANTS)

proof-nightly: bootstrap ## P2, P4 and the state machines fifty times larger, then all mutants
	PROOF_SCALE=50 $(BIN)/pytest services/payment-gateway/tests/money_bugs services/payment-gateway/tests/property --timeout 7200
	$(BIN)/python -m platform_cli.run_mutants
