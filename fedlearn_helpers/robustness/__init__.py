"""Clients that lie (attacks), servers that do not trust them (defences), who is found out, what a client is worth."""
