"""An address to country and region, and whether it is a data centre.

Countries come with the geoip2fast package (MIT; data CC BY-SA 4.0); regions, and better countries, from a file of the operator's own
in MaxMind's format (GeoLite2 City, DB-IP City and the like) where the setting `geo_mmdb` names one.
"""

import logging
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import geoip2fast
import maxminddb

from funnelwatch import config

log = logging.getLogger(__name__)

#: Networks that only hold servers. Relays people browse through (Apple, Cloudflare, Akamai, Fastly) are left out on purpose.
_HOSTING = re.compile(
    r"amazon|aws|google-cloud|google cloud|microsoft-corp|azure|digitalocean|hetzner|ovh|linode|vultr|choopa|contabo|scaleway"
    r"|leaseweb|oracle-bmc|alibaba|tencent-net|ionos|m247|datacamp|hostinger|godaddy|rackspace|softlayer|upcloud|kamatera",
    re.IGNORECASE,
)


class Place(NamedTuple):
    """Country is ISO 3166-1 alpha-2, empty when unknown or private; region as the operator's file has it, empty without one."""

    country: str
    region: str
    hosting: bool


class GeoFileError(Exception):
    """The operator's file cannot be used; the text says why and what to do."""


_LONGEST_ADDRESS = 45  # an IPv6 address with an IPv4 tail

NOWHERE = Place("", "", False)


@cache
def _packaged() -> Any:
    data = Path(geoip2fast.__file__).with_name("geoip2fast-asn-ipv6.dat.gz")
    return geoip2fast.GeoIP2Fast(verbose=False, geoip2fast_data_file=str(data))


@cache
def _operators() -> maxminddb.Reader | None:
    path = config.get("geo_mmdb")
    if not path:
        return None
    try:
        return maxminddb.open_database(str(path))
    except OSError as error:
        reason = error.strerror or str(error)
    except maxminddb.InvalidDatabaseError:
        reason = "it is no MaxMind database, or not all of one"
    raise GeoFileError(f"FUNNELWATCH_GEO_MMDB names {path}, which cannot be used: {reason}. Put the .mmdb file there, or unset it.")


def load() -> str:
    """Read the data now (a quarter of a second) and not on the first request; returns what is used. Raises GeoFileError."""
    _packaged()
    reader = _operators()
    return "countries as packaged" if reader is None else f"{reader.metadata().database_type} of {config.get('geo_mmdb')}"


def locate(address: str) -> Place:
    """Where an address is. Text that is no address is nowhere."""
    return _locate(address) if 0 < len(address) <= _LONGEST_ADDRESS else NOWHERE


@lru_cache(maxsize=32_768)
def _locate(address: str) -> Place:
    found = _packaged().lookup(address)
    country, region = _code(found.country_code), ""
    if (reader := _operators()) is not None:
        own_country, region = _read(reader, address)
        country = own_country or country
    return Place(country, region, bool(_HOSTING.search(found.asn_name or ""))) if country else NOWHERE


def _read(reader: maxminddb.Reader, address: str) -> tuple[str, str]:
    """Country and region of a record as GeoIP2's City has it; empty where it says nothing."""
    try:
        record: Any = reader.get(address)
    except ValueError:  # no address, or IPv6 in a file of IPv4
        return "", ""
    except maxminddb.InvalidDatabaseError:
        log.exception("the file of FUNNELWATCH_GEO_MMDB is damaged")
        return "", ""
    try:
        country = _code(record["country"]["iso_code"])
    except (KeyError, TypeError):
        return "", ""
    try:
        part = record["subdivisions"][0]
        return country, str(part.get("iso_code") or part["names"]["en"])
    except (KeyError, IndexError, TypeError, AttributeError):
        return country, ""


def _code(text: Any) -> str:
    return text if isinstance(text, str) and len(text) == 2 and text.isalpha() else ""
