"""Frozen data types that the layers hand to each other."""
