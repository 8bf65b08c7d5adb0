"""The JSON API: thin handlers over ingest, operate and the store's history."""
