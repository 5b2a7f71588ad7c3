"""A shop, of which each tenant has one."""
