"""The pure half of every stage: inputs to prompt and schema, reply to document."""
