"""The config: one pydantic model, from which schema and reference page come."""
