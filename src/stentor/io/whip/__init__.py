"""WHIP (RFC 9725): the endpoint as a Starlette application, and the client's three requests."""

from stentor.formats.problem import Refused
from stentor.io.whip.client import SeatInfo, WhipClient, WhipError
from stentor.io.whip.endpoint import PATH, Admitted, Endpoint, create_app

__all__ = ["PATH", "Admitted", "Endpoint", "Refused", "SeatInfo", "WhipClient", "WhipError", "create_app"]
