"""Everything that happens inside a task: stages, model client, gate, ledger, pictures."""
