"""Subscriptions: what can be subscribed to, who hears of which change, and the two ways in which it is told."""
