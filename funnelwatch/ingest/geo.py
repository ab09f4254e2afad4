"""An address to country, and whether it is a data centre. The data comes with the geoip2fast package (MIT; data CC BY-SA 4.0)."""

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import geoip2fast

#: Networks that only hold servers. Relays people browse through (Apple, Cloudflare, Akamai, Fastly) are left out on purpose.
_HOSTING = re.compile(
    r"amazon|aws|google-cloud|google cloud|microsoft-corp|azure|digitalocean|hetzner|ovh|linode|vultr|choopa|contabo|scaleway"
    r"|leaseweb|oracle-bmc|alibaba|tencent-net|ionos|m247|datacamp|hostinger|godaddy|rackspace|softlayer|upcloud|kamatera",
    re.IGNORECASE,
)


class Place(NamedTuple):
    """Country is ISO 3166-1 alpha-2, empty when unknown or private."""

    country: str
    hosting: bool


_LONGEST_ADDRESS = 45  # an IPv6 address with an IPv4 tail

NOWHERE = Place("", False)


@cache
def _database() -> Any:
    data = Path(geoip2fast.__file__).with_name("geoip2fast-asn-ipv6.dat.gz")
    return geoip2fast.GeoIP2Fast(verbose=False, geoip2fast_data_file=str(data))


def load() -> None:
    """Read the data now (a quarter of a second) and not on the first request."""
    _database()


def locate(address: str) -> Place:
    """Where an address is. Text that is no address is nowhere."""
    return _locate(address) if 0 < len(address) <= _LONGEST_ADDRESS else NOWHERE


@lru_cache(maxsize=32_768)
def _locate(address: str) -> Place:
    found = _database().lookup(address)
    country = found.country_code or ""
    if len(country) != 2 or not country.isalpha():
        return NOWHERE
    return Place(country, bool(_HOSTING.search(found.asn_name or "")))
