"""An app for tests of what runs it."""
