"""Where a file is, whether we may go there, and how to name it without giving a secret away."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from include.portals.errors import BadLocation, HostRefused, Interrupted

Kind = Literal["folder", "web", "s3", "sftp"]
SCHEMES: dict[str, Kind] = {"http": "web", "https": "web", "s3": "s3", "sftp": "sftp"}
# Buckets have no port, and are no hosts to anyone but S3.
PORTS = {"http": 80, "https": 443, "sftp": 22, "s3": 0}
MEMBER = re.compile(r"(?is)^(?P<archive>.+?\.zip(?:\?[^!]*)?)!(?P<member>.+)$")
ARCHIVE = re.compile(r"(?i)\.zip(?:\?.*)?$")
SECRET = re.compile(r"(?i)sig|token|key|pass|pwd|secret|auth|cred|code|session|jwt|amz")


@dataclass(frozen=True)
class Location:
    """One file, or one member of an archive.

    `address` is a path or a URL and may hold a signature: it is for the wire, `shown` is for
    people. `members` are the names a member may have, the first that exists counts.
    """

    kind: Kind
    shown: str
    address: str = field(repr=False)
    members: tuple[str, ...] = ()
    # A folder's files stay inside it.
    bounds: Path | None = None
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    # (host, port) of STATEWIDE_EXTRACTS: the operator vouches for it, private or not.
    trusted: tuple[str, int] | None = None
    hosts: frozenset[str] = frozenset()

    def vouched_for(self, host: str, port: int) -> bool:
        """Whether the operator named this very host and port (or its https twin)."""
        twin = port == 443 and (host, 80) == self.trusted
        return (host, port) == self.trusted or twin

    def check_host(self, host: str, port: int) -> None:
        """Raises HostRefused unless the operator or the state's file names the host."""
        if not self.vouched_for(host, port) and host not in self.hosts:
            known = ", ".join(sorted(self.hosts)) or "no host"
            raise HostRefused(
                self.shown,
                f"leads to {host}:{port}, and the state's file allows {known}",
                "if the publisher does hand out files there, add it to `hosts` in the state's file",
            )

    def check_addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, to connect to and to no others: names may change meaning.

        Raises HostRefused if any of them is not public, unless the operator vouches for the host.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise Interrupted(
                self.shown, f"the name {host} has no address", "check the name and the network"
            )
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        if not self.vouched_for(host, port):
            for address in addresses:
                if not is_public(address):
                    raise HostRefused(
                        self.shown,
                        f"{host} is at {address}, which is not a public address",
                        "only the host in STATEWIDE_EXTRACTS may be inside your own network",
                    )
        return addresses


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody on the internet could reach."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inside = ip.ipv4_mapped or ip.sixtofour
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            inside = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inside is not None:
            return is_public(str(inside))
    return ip.is_global and not ip.is_multicast


def credential(kind: str, host: str, what: str) -> str | None:
    """A secret of one host from the environment: STATEWIDE_SFTP_FILES_EXAMPLE_GOV_PASSWORD."""
    name = re.sub(r"[^A-Z0-9]+", "_", host.upper()).strip("_")
    return os.environ.get(f"STATEWIDE_{kind}_{name}_{what}") or None


def resolve(
    source: str, *, root: str | None = None, state: str | None = None, hosts: Iterable[str] = ()
) -> list[Location]:
    """The locations that a source may mean, the likelier first.

    A relative source is a name below `root`: a folder, an http(s), s3 or sftp prefix, or a zip in
    any of them. An absolute one (https, s3, sftp) must be on one of `hosts` (for s3, the bucket)
    or on the root's host. There is more than one location only where the root may itself be the
    state's folder. Raises BadLocation or HostRefused.
    """
    allowed = frozenset(host.lower().rstrip(".") for host in hosts)
    if "://" in source:
        return [_absolute(source, root, allowed)]
    _check_name(source, source)
    if not root:
        raise BadLocation(
            source,
            "is relative, and STATEWIDE_EXTRACTS is not set",
            "set it to a folder or a URL, or name with the run one that was allowed (Read extracts "
            "from)",
        )
    archive, prefix = _archive_root(root)
    if archive:
        return [_in_archive(archive, prefix, source, state, allowed)]
    if "://" in root:
        return _below_url(root, source, state, allowed)
    return [_in_folder(root, source, state)]


def _absolute(source: str, root: str | None, hosts: frozenset[str]) -> Location:
    scheme = source.partition("://")[0].lower()
    if scheme not in ("https", "s3", "sftp"):
        raise BadLocation(
            _without_secrets(source, keep_query=False),
            f"{scheme} is not a way we fetch an absolute source by",
            "use https, s3 or sftp, or a source relative to STATEWIDE_EXTRACTS",
        )
    address, member = _split_member(source)
    location = _url(address, hosts, keep_query=True)
    if location.password:
        raise BadLocation(
            location.shown, "carries a password", "keep secrets in the environment instead"
        )
    # The operator's own host stays the operator's own, however a file on it is named.
    if root and "://" in root:
        location = replace(location, trusted=_url(root, frozenset()).trusted)
    else:
        location = replace(location, trusted=None)
    location.check_host(*_host_and_port(address))
    return _member(location, member)


def _below_url(root: str, source: str, state: str | None, hosts: frozenset[str]) -> list[Location]:
    name, member = _split_member(source)
    names = [name]
    # Unlike in a folder, we cannot see what a prefix holds: it must be called like the state.
    last = urlsplit(root).path.rstrip("/").rpartition("/")[2] or urlsplit(root).netloc
    if state and last.lower() == state and name.startswith(f"{state}/"):
        names.append(name.removeprefix(f"{state}/"))
    locations = [_url(_joined(root, name), hosts) for name in names]
    return [_member(location, member) for location in locations]


def _in_folder(root: str, source: str, state: str | None) -> Location:
    folder = Path(root.removeprefix("file://")).expanduser().resolve()
    name, member = _split_member(source)
    rest = name.removeprefix(f"{state}/")
    if (
        state
        and rest != name
        and not (folder / name).exists()
        and not (folder / state).exists()
        and (folder / rest).exists()
        and _may_be(folder.name, state)
    ):
        name = rest
    path = folder / name
    location = Location("folder", str(path), str(path), bounds=folder)
    return _member(location, member)


def _in_archive(
    archive: str, prefix: str, source: str, state: str | None, hosts: frozenset[str]
) -> Location:
    if MEMBER.match(source):
        raise BadLocation(
            source, "is an archive in an archive", "point STATEWIDE_EXTRACTS to its folder instead"
        )
    members = [prefix + source]
    if state and source.startswith(f"{state}/") and _may_be(_stem(archive), state):
        members.append(prefix + source.removeprefix(f"{state}/"))
    if "://" in archive:
        location = _url(archive, hosts)
    else:
        path = Path(archive.removeprefix("file://")).expanduser().resolve()
        location = Location("folder", str(path), str(path), bounds=path.parent)
    return replace(location, members=tuple(members))


def _may_be(name: str, state: str) -> bool:
    """Whether a folder of this name may be the state's own: not if it is called like another's.

    Two states that send the standard extracts send files of the same names.
    """
    return not re.fullmatch(r"[a-z]{2}", name.lower()) or name.lower() == state


def _stem(archive: str) -> str:
    path = urlsplit(archive).path if "://" in archive else archive
    return PurePosixPath(path).stem


def _archive_root(root: str) -> tuple[str | None, str]:
    if found := MEMBER.match(root):
        return found["archive"], found["member"].strip("/") + "/"
    if ARCHIVE.search(root) and not Path(root).is_dir():
        return root, ""
    return None, ""


def _split_member(source: str) -> tuple[str, str | None]:
    found = MEMBER.match(source)
    return (found["archive"], found["member"]) if found else (source, None)


def _member(location: Location, member: str | None) -> Location:
    if member is None:
        return location
    _check_name(member, f"{location.shown}!{member}")
    return replace(location, members=(member,))


def _check_name(name: str, shown: str) -> None:
    """Names go down from where they start, and nowhere else."""
    parts = unquote(name).replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or "\0" in name or not name.strip():
        raise BadLocation(shown, "leaves its root", "name files by their path below the root")
    if "\\" in name:
        raise BadLocation(shown, "has a backslash", "write paths with /")


def _joined(root: str, name: str) -> str:
    scheme = root.partition("://")[0].lower()
    if SCHEMES.get(scheme) == "s3":
        return f"{root.rstrip('/')}/{name}"
    parts = urlsplit(root)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}", fragment="").geturl()


def _url(url: str, hosts: frozenset[str], keep_query: bool = False) -> Location:
    """A location by URL, which trusts its own host; `_absolute` takes that trust away again."""
    shown = _without_secrets(url, keep_query)
    scheme = url.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise BadLocation(
            shown, f"{scheme}:// is not supported", "use a folder, http, https, s3 or sftp"
        )
    host, port = _host_and_port(url)
    if SCHEMES[scheme] == "s3":
        return Location("s3", shown, url, trusted=(host, port), hosts=hosts)
    parts = urlsplit(url)
    # What stays in `address` goes to the wire; who we are goes into headers only.
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    return Location(
        SCHEMES[scheme],
        shown,
        address,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        trusted=(host, port),
        hosts=hosts,
    )


def _host_and_port(url: str) -> tuple[str, int]:
    """Lower-case host (for s3, the bucket) and port of a URL. Raises BadLocation."""
    scheme, _, rest = url.partition("://")
    if scheme.lower() == "s3":
        host, port = rest.partition("/")[0], None
    else:
        try:
            host, port = urlsplit(url).hostname or "", urlsplit(url).port
        except ValueError:
            host, port = "", None
    if not host:
        shown = _without_secrets(url, keep_query=False)
        raise BadLocation(shown, "has no host that can be read", "write scheme://host/path")
    return host.lower().rstrip("."), port or PORTS[scheme.lower()]


def host_and_port(parts: SplitResult) -> tuple[str, int]:
    """Lower-case host and port of a URL that has been split. Raises BadLocation."""
    return _host_and_port(parts.geturl())


def _without_secrets(url: str, keep_query: bool) -> str:
    """A URL for receipts, errors and logs.

    Never who we are. The query only where it stands in the state's file, which holds no secrets,
    and even there without the values of parameters that look like one.
    """
    scheme, _, rest = url.partition("://")
    if scheme.lower() == "s3":
        return url
    rest = rest.partition("#")[0]
    place, asks, query = rest.partition("?")
    netloc, slash, path = place.partition("/")
    shown = f"{scheme}://{netloc.rpartition('@')[2]}{slash}{path}"
    if not asks:
        return shown
    if not keep_query:
        return f"{shown}?…"
    told = parse_qsl(query, keep_blank_values=True)
    return shown + "?" + "&".join(f"{k}={'…' if SECRET.search(k) else v}" for k, v in told)
