"""``sockudo-publisher dev-server``: the embedded Sockudo."""
