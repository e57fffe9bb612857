"""Devices: distribution strategies, threads and memory."""
