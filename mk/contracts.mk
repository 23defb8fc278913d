##@ Contracts

# Examples per operation and phase (three times as many where operations are few): 100 make more than 10,000 cases on
# the gateway and 20,000 in all.
FUZZ_EXAMPLES ?= 100

.PHONY: contracts client fuzz
contracts: bootstrap ## Write services/*/contracts again, openapi.json and events/ (read the diff before you commit it)
	$(BIN)/python -m platform_cli.write_contracts

client: bootstrap ## Generate a typed Python client of the gateway into .platform/client
	$(BIN)/python -m platform_cli.write_client

fuzz: bootstrap ## Schemathesis on the three services, all checks, fixed seed (FUZZ_EXAMPLES=100 per operation and phase)
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/pytest services/*/tests/api/test_fuzzing.py -rP $(PYTEST_ARGS)
