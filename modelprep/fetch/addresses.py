"""Which addresses may be contacted: the network policy (``docs/fetching.md``).

Link-local addresses, among them those at which clouds serve credentials, are never contacted. Loopback and private
addresses are the user's own network: a recipe on the user's disk and ``--mirror`` may name them; a public server may
not redirect there.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from urllib.parse import urlsplit

from modelprep.errors import UsageError

ENVIRONMENT = "MODELPREP_ALLOW_PRIVATE"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Link-local ranges, and the addresses outside of them at which cloud providers serve metadata and credentials
#: (AWS and GCP over IPv6, Alibaba, Azure, Oracle).
_NEVER = tuple(
    ipaddress.ip_network(each)
    for each in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",
        "fd20:ce::254/128",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
    )
)
#: IPv6 prefixes with an IPv4 address in the last 32 bits: compatible, NAT64 (RFC 6052).
_EMBEDDED = (ipaddress.ip_network("::/96"), ipaddress.ip_network("64:ff9b::/96"))
#: Domain suffixes that no public server has.
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".corp", ".home", ".home.arpa", ".intranet")


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address embeds, if any."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and int(address) > 1 and any(address in network for network in _EMBEDDED):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


def kind_of(address: Address) -> str:
    """Say whether an address is ``link-local`` (with metadata services), ``private`` (with loopback) or ``public``."""
    inner = _unwrapped(address)
    if any(each in network for each in (address, inner) for network in _NEVER if each.version == network.version):
        return "link-local"
    local = inner.is_multicast or getattr(inner, "is_site_local", False)
    return "public" if inner.is_global and not local else "private"


def parse(text: str) -> Address | None:
    """Parse an address as the system's resolver would, ``2130706433`` and ``0x7f.1`` included; None for a name."""
    text = text.strip("[]").partition("%")[0]
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text)) if text and text[-1] in "0123456789abcdefABCDEF" else None
    except (OSError, ValueError):
        return None


def kind_of_host(host: str) -> str:
    """As :func:`kind_of` for a host that a proxy will look up: by its name alone."""
    address = parse(host)
    if address is not None:
        return kind_of(address)
    name = host.lower().rstrip(".")
    return "private" if "." not in name or f".{name}".endswith(_LOCAL_NAMES) else "public"


def host_of(url: str) -> str:
    """Return the host of a URL; an empty text for none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def allowed_by_environment() -> bool | None:
    """Read ``MODELPREP_ALLOW_PRIVATE``; None when it is not set.

    Raises
    ------
    UsageError
        The value is neither yes nor no.
    """
    value = os.environ.get(ENVIRONMENT, "").strip().lower()
    if value in ("", "1", "true", "yes", "on", "0", "false", "no", "off"):
        return value in ("1", "true", "yes", "on") if value else None
    raise UsageError(f"{ENVIRONMENT} must be 1 or 0", got=value)
