"""Stage plan: suite x interventions x model gives one request per cell."""
