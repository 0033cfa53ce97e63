"""What belongs to one lesson: a folder each, with its parameters, exercises and figures."""
