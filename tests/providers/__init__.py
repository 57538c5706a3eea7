"""The far sides that tests play: small strict servers that check each request against the provider's own contract."""
