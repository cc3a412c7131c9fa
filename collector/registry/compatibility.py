"""The compatibility of a subject. The command line imports this module, so it imports no client."""

from enum import StrEnum


class Compatibility(StrEnum):
    """What a registry compares a new version of a schema with, and how."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"
