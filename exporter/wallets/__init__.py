"""Wallets: addresses checked, miners' pools matched to them, and what the pools say of them."""
