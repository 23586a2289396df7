"""Tests of the transports, against real servers on loopback."""
