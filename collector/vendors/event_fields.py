"""The fields that events of several types have in common, with their descriptions."""

from typing import Annotated

from msgspec import Meta

from collector.instants import Timestamp
from collector.vendors.vocabulary import AgeGroup, Gender

Revision = Annotated[
    int, Meta(description="Revision of the record, from 0. The highest revision replaces the others.", ge=0)
]
UserId = Annotated[int, Meta(description="The vendor's number of the user.")]
DeviceId = Annotated[int, Meta(description="The vendor's number of the device.")]
LocationId = Annotated[int, Meta(description="The vendor's number of the location.")]
SiteId = Annotated[int, Meta(description="The vendor's number of the site.")]
EstimatedGender = Annotated[Gender, Meta(description="Gender as estimated by the camera.")]
GenderCode = Annotated[int | None, Meta(description="The vendor's code of the gender.")]
EstimatedAgeGroup = Annotated[AgeGroup, Meta(description="Age group as estimated by the camera.")]
AgeCode = Annotated[int | None, Meta(description="The vendor's code of the age group.")]
Position = Annotated[int, Meta(description="Position in the vendor's array, from 0.", ge=0)]
PeriodStart = Annotated[Timestamp, Meta(description="Start of the period, in UTC.")]
PeriodEnd = Annotated[Timestamp, Meta(description="End of the period, exclusive, in UTC.")]
