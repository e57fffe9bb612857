"""Child processes: pools, children that are watched, and programs that run once. No other module starts one."""
