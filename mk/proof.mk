##@ Prove it further

.PHONY: mutants
mutants: bootstrap ## Take each money guard away in a copy and see its tests turn red (MUTANTS="refund capture")
	$(BIN)/python -m platform_cli.run_mutants $(MUTANTS)
