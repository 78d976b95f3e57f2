"""Seeded readable text, English and Chinese: what a simulated reply is made of."""
