"""The ledger in Redis and the blobs beside it."""
