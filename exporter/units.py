"""Base units as types, and the only place where a device's unit becomes a base unit.

Every quantity inside the program is in the unit its type names. A driver never multiplies: it calls the function
that names the unit the device speaks, for example ``gigahashes_per_second(1072.2)``.
"""

from __future__ import annotations

from typing import NewType

HashesPerSecond = NewType("HashesPerSecond", float)
Hashes = NewType("Hashes", float)
Watts = NewType("Watts", float)
Joules = NewType("Joules", float)
Volts = NewType("Volts", float)
Amperes = NewType("Amperes", float)
Hertz = NewType("Hertz", float)
Celsius = NewType("Celsius", float)
Seconds = NewType("Seconds", float)
UnixSeconds = NewType("UnixSeconds", float)
Ratio = NewType("Ratio", float)
Rpm = NewType("Rpm", float)
Bytes = NewType("Bytes", float)
DecibelMilliwatts = NewType("DecibelMilliwatts", float)
Difficulty = NewType("Difficulty", float)


def hashes_per_second(value: float) -> HashesPerSecond:
    return HashesPerSecond(value)


def kilohashes_per_second(value: float) -> HashesPerSecond:
    return HashesPerSecond(value * 1e3)


def megahashes_per_second(value: float) -> HashesPerSecond:
    return HashesPerSecond(value * 1e6)


def gigahashes_per_second(value: float) -> HashesPerSecond:
    return HashesPerSecond(value * 1e9)


def terahashes_per_second(value: float) -> HashesPerSecond:
    return HashesPerSecond(value * 1e12)


def megahashes(value: float) -> Hashes:
    return Hashes(value * 1e6)


def watts(value: float) -> Watts:
    return Watts(value)


def joules(value: float) -> Joules:
    return Joules(value)


def volts(value: float) -> Volts:
    return Volts(value)


def centivolts(value: float) -> Volts:
    return Volts(value / 1e2)


def millivolts(value: float) -> Volts:
    return Volts(value / 1e3)


def amperes(value: float) -> Amperes:
    return Amperes(value)


def milliamperes(value: float) -> Amperes:
    return Amperes(value / 1e3)


def hertz(value: float) -> Hertz:
    return Hertz(value)


def megahertz(value: float) -> Hertz:
    return Hertz(value * 1e6)


def celsius(value: float) -> Celsius:
    return Celsius(value)


def seconds(value: float) -> Seconds:
    return Seconds(value)


def milliseconds(value: float) -> Seconds:
    return Seconds(value / 1e3)


def unix_seconds(value: float) -> UnixSeconds:
    return UnixSeconds(value)


def ratio(value: float) -> Ratio:
    return Ratio(value)


def percent(value: float) -> Ratio:
    return Ratio(value / 1e2)


def rpm(value: float) -> Rpm:
    return Rpm(value)


def bytes_(value: float) -> Bytes:
    return Bytes(value)


def kibibytes(value: float) -> Bytes:
    return Bytes(value * 1024)


def decibel_milliwatts(value: float) -> DecibelMilliwatts:
    return DecibelMilliwatts(value)


def difficulty(value: float) -> Difficulty:
    return Difficulty(value)
