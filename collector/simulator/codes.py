"""VidiCenter's codes by Seemetrix's codes, which the simulated world uses."""

GENDERS = {0: 2, 1: 1, None: 0}
AGES = {0: 1, 1: 2, 2: 3, 3: 4, None: 0}
MOODS = {1: "happy", 0: "neutral", 2: "unhappy", 3: "very_happy", -1: "very_unhappy"}
MASKED = "masked"
DEMOGRAPHICS = (
    MASKED,
    *(f"{age}_{gender}" for gender in ("male", "female") for age in ("child", "young_adult", "adult", "senior")),
)
"""How VidiCenter names groups of people in columns."""


def demographic(gender: int | None, age: int | None) -> str:
    """The group of a person; `masked` if the gender or the age is not known."""
    if gender is None or age is None:
        return MASKED
    return f"{('child', 'young_adult', 'adult', 'senior')[age]}_{('female', 'male')[gender]}"
