"""Payment gateways, one file each; none of them takes money yet."""
