"""The watched side: tenants, flows, runs, their states, and agents."""
