"""The page that a user looks at: one self-contained HTML file for a run."""
