"""What may be called now, decided for the whole cluster."""
