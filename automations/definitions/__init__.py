"""What people set up: automations, actions and secrets. Each write is checked whole before any of it is made."""
