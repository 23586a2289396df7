"""Figures as people read them."""

import pytest

from exporter.model import Identity
from onboarding_ui.figures import age, difficulty, duration, make_and_model, moment, percent, plain, scaled


def unbroken(text):
    """A line may not end between a number and its unit."""
    return text.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0 H/s"),
        (999.0, "999 H/s"),
        (1000.0, "1.00 kH/s"),
        (78_500.0, "78.50 kH/s"),
        (1.07e12, "1.07 TH/s"),
        (999_999_000.0, "1.00 GH/s"),
        (-2500.0, "-2.50 kH/s"),
        (3e24, "3000.00 ZH/s"),
    ],
)
def test_figures_are_scaled(value, text):
    assert scaled(value, "H/s") == unbroken(text)


def test_a_scaled_figure_without_a_unit_ends_with_its_prefix():
    assert scaled(4.29e9, "") == unbroken("4.29 G")
    assert scaled(12.0, "") == "12"


@pytest.mark.parametrize(
    ("value", "unit", "digits", "text"),
    [
        (None, "W", 0, "–"),
        (0.0, "W", 0, "0 W"),
        (61.24, "°C", 1, "61.2 °C"),
        (41980.0, "W", 0, "41\u202f980 W"),
        (1520.0, "", 0, "1\u202f520"),
        (-58.0, "dBm", 0, "-58 dBm"),
    ],
)
def test_plain_figures_have_groups_of_thousands(value, unit, digits, text):
    assert plain(value, unit, digits) == unbroken(text)


def test_ratios_are_shown_in_percent():
    assert percent(0.973) == "97 %"
    assert percent(0.00512, 2) == "0.51 %"
    assert percent(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s ago"), (89, "89 s ago"), (300, "5 min ago"), (7200, "2 h ago"), (259200, "3 d ago"), (-9, "0 s ago")],
)
def test_ages(seconds, text):
    assert age(1000.0, 1000.0 + seconds) == text


def test_what_never_happened_has_no_age():
    assert age(None) == "never"
    assert duration(None) == "–"
    assert moment(None) == ""


def test_moments_are_iso_times_and_nonsense_is_none():
    assert moment(0.0) == "1970-01-01T00:00:00+00:00"
    assert moment(1e300) == ""


@pytest.mark.parametrize(
    ("make", "model", "text"),
    [
        ("Canaan", "Avalon Q", "Canaan Avalon Q"),
        ("Bitaxe", "Bitaxe Gamma 601", "Bitaxe Gamma 601"),
        ("Bitmain", None, "Bitmain"),
        (None, "Antminer S9", "Antminer S9"),
        (None, None, ""),
    ],
)
def test_the_make_is_not_said_twice(make, model, text):
    assert make_and_model(Identity(make=make, model=model)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (12.5, "12.5"),
        (12.0, "12"),
        (100.0, "100"),
        (512.256, "512.26"),
        (0.5, "0.5"),
        (0.0014, "0.0014"),
        (0.00099999, "0.001"),
        (1000.0, "1.00 k"),
        (4.29e9, "4.29 G"),
    ],
)
def test_difficulties_of_small_shares_keep_their_digits(value, text):
    assert difficulty(value) == unbroken(text)
