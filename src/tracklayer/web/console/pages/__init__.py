"""One controller for each family of pages."""
