"""The producer: command line, plans, submission, export."""
