"""Pictures: the only importer of torch and diffusers, and that lazily."""
