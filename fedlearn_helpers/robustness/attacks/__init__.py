"""Attacks: clients that send another model than the one they should, or that train on data which they have changed."""
