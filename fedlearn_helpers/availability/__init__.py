"""When clients are there and how fast they are: devices, and the mod that lets a client come late or not at all."""
