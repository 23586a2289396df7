"""Pool adapters: one file ``<name>_pool.py`` each. See `api` for the contract."""
