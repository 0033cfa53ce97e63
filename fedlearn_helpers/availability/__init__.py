"""When clients are there and how fast they are: devices, and the mod that lets a client come late or not at all."""

from fedlearn_helpers.availability.devices import Devices, draw_devices
from fedlearn_helpers.availability.mods import device_mod, timeline

__all__ = ["Devices", "device_mod", "draw_devices", "timeline"]
