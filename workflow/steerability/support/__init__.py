"""Support: files, store, JSON, tables, console, errors and retries; knows nothing of the rest."""
