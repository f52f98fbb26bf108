"""Evidence as files that others can open: a registry of forms, one module a form."""
