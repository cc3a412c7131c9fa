"""VidiCenter's codes by Seemetrix's codes, which the simulated world uses."""

GENDERS = {0: 2, 1: 1, None: 0}
AGES = {0: 1, 1: 2, 2: 3, 3: 4, None: 0}
MOODS = {1: "happy", 0: "neutral", 2: "unhappy", 3: "very_happy", -1: "very_unhappy"}
