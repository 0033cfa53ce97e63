"""The commands of `fedlearn`, one module each."""
