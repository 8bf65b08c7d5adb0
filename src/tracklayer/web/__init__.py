"""The surfaces over HTTP."""
