"""What is to be seen of the whole system: reads Redis for whoever shows it; prints nothing."""
