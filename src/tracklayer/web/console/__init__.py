"""The console: pages rendered here, each a thin caller of the functions behind the API."""
