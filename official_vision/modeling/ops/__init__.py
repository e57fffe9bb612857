"""The operations of which layers consist, some of them written for speed on CPUs."""
