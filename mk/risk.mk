##@ Risk model

.PHONY: model
model: bootstrap ## Simulate transactions, train the packaged model, print what it is worth
	$(BIN)/python -m risk_engine.operations.train_model

.PHONY: simulator-check
simulator-check: bootstrap ## The whole simulator against its published counts
	$(BIN)/python -m risk_engine.operations.check_simulator
