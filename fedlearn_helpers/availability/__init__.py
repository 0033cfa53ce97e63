"""Simulated devices, and the client mod that makes clients late or away."""

from fedlearn_helpers.availability.devices import Devices, draw_devices
from fedlearn_helpers.availability.mods import device_mod, timeline

__all__ = ["Devices", "device_mod", "draw_devices", "timeline"]
