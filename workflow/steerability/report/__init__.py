"""Reports: tables, figures and the page, all of them views of computed tables."""
