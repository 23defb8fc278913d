# What is written from the data pipeline's code.

.PHONY: lineage
lineage: bootstrap ## Write docs/data-lineage.md again: jobs, and the columns that each number is made of
	$(BIN)/python -m data_pipeline.store.column_lineage > docs/data-lineage.md.new
	mv docs/data-lineage.md.new docs/data-lineage.md
