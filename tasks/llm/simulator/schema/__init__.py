"""From any JSON schema to a readable instance that is valid for it."""
