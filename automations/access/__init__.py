"""Who may do what: API keys, the roles they give, and the note of who changed a definition."""
