"""The values of enumerated fields in events: one vocabulary for all vendors."""

from typing import Literal

Gender = Literal["female", "male", "unknown"]
AgeGroup = Literal["child", "young_adult", "adult", "senior", "unknown"]
Emotion = Literal["neutral", "happy", "angry", "surprised", "unknown"]
GroupLevel = Literal["device", "movie", "date", "age", "gender", "emotion"]
Glasses = Literal["unknown", "none", "glasses", "sunglasses"]
Mustache = Literal["unknown", "none", "mustache"]
Beard = Literal["unknown", "none", "beard"]
ZoneType = Literal["regular", "doorway_in", "doorway_out", "carpet", "unknown"]
VehicleType = Literal["unknown", "car", "bus", "truck_or_suv", "van", "bike"]
VehicleColor = Literal["unknown", "white", "gray", "yellow", "red", "green", "blue", "black"]
