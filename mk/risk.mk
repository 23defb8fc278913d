##@ Risk model

.PHONY: model
model: bootstrap ## Simulate transactions, train the packaged model, write its card, print what it is worth
	$(BIN)/python -m risk_engine.operations.train_model --card docs/risk-model-card.md

.PHONY: model-onnx
model-onnx: bootstrap ## The packaged model as ONNX in .platform/model (MODEL_FILE=.platform/model/model.onnx uses it)
	$(BIN)/python -m risk_engine.operations.export_onnx --out $(STATE)/model/model.onnx

.PHONY: simulator-check
simulator-check: bootstrap ## The whole simulator against its published counts
	$(BIN)/python -m risk_engine.operations.check_simulator
