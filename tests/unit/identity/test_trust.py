import base64
import random
import ssl
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from liqo.errors import Malformed
from liqo.identity.trust import (
    BUNDLE_MAX,
    Server,
    check_address,
    check_server_url,
    covers,
    fingerprints,
    names_in,
    parse_bundle,
    parse_server_url,
    parse_trusted,
)
from liqo.lab.pki import make_ca, make_server
from strategies import bundles, certificate, servers

TAKEN = {
    "a private address": "192.168.1.7",
    "another private address": "10.0.0.1",
    "a shared address": "100.64.0.9",
    "a public address": "93.184.216.34",
    "a private IPv6 address": "fd12:3456::1",
    "a public IPv6 address": "2606:2800:220:1::1",
    "a private address as IPv6": "::ffff:10.0.0.1",
    "a public address behind NAT64": "64:ff9b::5db8:d822",
    "a documentation address": "192.0.2.1",
}
REFUSED = {
    "nothing": "",
    "a name": "localhost",
    "no address": "1.2.3",
    "octal": "0177.0.0.1",
    "a port": "10.0.0.1:6443",
    "loopback": "127.0.0.1",
    "any loopback": "127.9.9.9",
    "IPv6 loopback": "::1",
    "loopback as IPv6": "::ffff:127.0.0.1",
    "loopback as IPv6 in hex": "::ffff:7f00:1",
    "loopback as compatible IPv6": "::127.0.0.1",
    "loopback through NAT64": "64:ff9b::127.0.0.1",
    "loopback through 6to4": "2002:7f00:1::",
    "link-local": "169.254.1.1",
    "the cloud's metadata": "169.254.169.254",
    "the cloud's metadata as IPv6": "::ffff:169.254.169.254",
    "the cloud's metadata through NAT64": "64:ff9b::a9fe:a9fe",
    "the cloud's IPv6 metadata": "fd00:ec2::254",
    "another cloud's metadata": "100.100.100.200",
    "IPv6 link-local": "fe80::1",
    "IPv6 link-local with its interface": "fe80::1%eth0",
    "unspecified": "0.0.0.0",
    "IPv6 unspecified": "::",
    "unspecified as IPv6": "::ffff:0.0.0.0",
    "this network": "0.1.2.3",
    "multicast": "224.0.0.251",
    "IPv6 multicast": "ff02::fb",
    "multicast as IPv6": "::ffff:224.0.0.251",
    "broadcast": "255.255.255.255",
    "reserved": "240.0.0.1",
}


@pytest.mark.parametrize("ip", TAKEN.values(), ids=TAKEN.keys())
def test_an_address_where_a_cluster_may_be_is_taken(ip: str) -> None:
    assert check_address(ip).trusted
    assert check_address(ip, allow_loopback=True).trusted


@pytest.mark.parametrize("ip", REFUSED.values(), ids=REFUSED.keys())
def test_an_address_where_no_cluster_may_be_is_refused_with_a_reason(ip: str) -> None:
    verdict = check_address(ip)
    assert not verdict.trusted
    assert verdict.reason == "AddressRefused"
    assert verdict.message


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.0.31.10", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_taken_if_the_configuration_says_so(ip: str) -> None:
    assert check_address(ip, allow_loopback=True).trusted


@pytest.mark.parametrize("ip", ["0.0.0.0", "::", "169.254.169.254", "fe80::1", "224.0.0.1"])
def test_allowing_loopback_allows_nothing_else(ip: str) -> None:
    assert not check_address(ip, allow_loopback=True).trusted


OWN = {
    "the same": ("10.0.0.1", "10.0.0.1"),
    "as IPv6": ("::ffff:10.0.0.1", "10.0.0.1"),
    "known as IPv6": ("10.0.0.1", "::ffff:10.0.0.1"),
    "in another spelling": ("fd00:0:0:0::1", "fd00::1"),
    "in brackets": ("fd00::1", "[fd00::1]"),
}


@pytest.mark.parametrize(("ip", "own"), OWN.values(), ids=OWN.keys())
def test_nobody_sends_us_to_our_own_api_server(ip: str, own: str) -> None:
    verdict = check_address(ip, own=["", "kubernetes.default.svc", own])
    assert not verdict.trusted
    assert "our own" in verdict.message
    assert check_address("10.0.0.2", own=[own]).trusted


def test_our_own_loopback_address_is_refused_where_loopback_is_allowed() -> None:
    assert not check_address("127.0.31.1", own=["127.0.31.1"], allow_loopback=True).trusted
    assert check_address("127.0.31.2", own=["127.0.31.1"], allow_loopback=True).trusted


@pytest.mark.parametrize("ip", ["169.254.7.7", "::ffff:169.254.7.7", "10.0.0.1"])
def test_what_the_configuration_allows_is_taken(ip: str) -> None:
    allowed = [ip_network("169.254.7.0/24"), ip_network("10.0.0.1/32"), ip_network("fe80::/10")]
    assert check_address(ip, allowed=allowed, own=["10.0.0.1"]).trusted


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_is_judged_as_itself(ip: object) -> None:
    assert check_address(f"::ffff:{ip}").trusted == check_address(str(ip)).trusted


@given(st.text())
def test_any_text_as_an_address_gets_a_verdict(text: str) -> None:
    assert check_address(text, own=[text]).trusted is False


GOOD_URLS = {
    "https://192.0.2.1:6443": Server("192.0.2.1", 6443),
    "https://192.0.2.1": Server("192.0.2.1", 443),
    "https://api.Cluster.Example:443/": Server("api.cluster.example", 443),
    "https://[2001:DB8:0::1]:65535": Server("2001:db8::1", 65535),
    "https://[::ffff:10.0.0.1]": Server(str(ip_address("::ffff:10.0.0.1")), 443),
    "https://host": Server("host", 443),
    "https://1.example": Server("1.example", 443),
    "https://xn--bcher-kva.example": Server("xn--bcher-kva.example", 443),
}
BAD_URLS = {
    "nothing": "",
    "no TLS": "http://192.0.2.1",
    "the scheme in upper case": "HTTPS://192.0.2.1",
    "no scheme": "192.0.2.1:6443",
    "another scheme": "ftp://192.0.2.1",
    "no host": "https://",
    "no host but a port": "https://:6443",
    "a user": "https://user@192.0.2.1",
    "a user and a password": "https://user:password@192.0.2.1",
    "an empty user": "https://@192.0.2.1",
    "a path": "https://192.0.2.1/api",
    "two slashes": "https://192.0.2.1//",
    "dots": "https://192.0.2.1/..",
    "a query": "https://192.0.2.1?x",
    "a fragment": "https://192.0.2.1#x",
    "a backslash": "https://192.0.2.1\\@x.example",
    "a space": "https://192.0.2.1 ",
    "a newline": "https://192.0.2.1\n",
    "a zero byte": "https://192.0.2.1\x00.example",
    "a percent": "https://192%2e0.2.1",
    "port 0": "https://192.0.2.1:0",
    "port 65536": "https://192.0.2.1:65536",
    "a port with a sign": "https://192.0.2.1:+443",
    "no port behind the colon": "https://192.0.2.1:",
    "digits of another script": "https://192.0.2.1:٤٤٣",
    "an address in octal": "https://0177.0.0.1",
    "an address in hex": "https://0x7f.0.0.1",
    "an address in one number": "https://2130706433",
    "an address in one hex number": "https://0x7f000001",
    "an address in two parts": "https://127.1",
    "an address with a leading zero": "https://192.0.2.010",
    "a number over 255": "https://192.0.2.256",
    "an IPv6 address without brackets": "https://::1",
    "an IPv6 address with an interface": "https://[fe80::1%25eth0]",
    "an IPv6 address that is none": "https://[1::2::3]",
    "brackets around a name": "https://[host]",
    "an empty label": "https://a..example",
    "a dot behind it": "https://a.example.",
    "a dash before it": "https://-a.example",
    "an underscore": "https://a_b.example",
    "letters outside ASCII": "https://bücher.example",
    "a label that is too long": f"https://{'a' * 64}.example",
    "a name that is too long": f"https://{'a.' * 130}example",
    "a URL without end": "https://" + "a" * 3_000,
}


@pytest.mark.parametrize(("url", "server"), GOOD_URLS.items())
def test_the_url_of_an_api_server_has_a_host_and_a_port(url: str, server: Server) -> None:
    assert parse_server_url(url) == server
    assert check_server_url(url).trusted


@pytest.mark.parametrize("url", BAD_URLS.values(), ids=BAD_URLS.keys())
def test_a_url_with_anything_else_is_refused(url: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_server_url(url)
    verdict = check_server_url(url)
    assert not verdict.trusted
    assert verdict.message == caught.value.message


@given(servers)
def test_every_server_is_one(url: str) -> None:
    parse_server_url(url)


PEM = certificate()
LINES = PEM.splitlines()
GOOD_BUNDLES = {
    "one": PEM,
    "the largest number": "".join(certificate(serial=s) for s in range(1, 17)),
    "the same twice": PEM * 2,
    "line ends of Windows": PEM.replace("\n", "\r\n"),
    "comments": f"# our CA\n{PEM}\n# the old one\n{certificate(serial=8)}",
    "no newline behind it": PEM.strip(),
}
BAD_BUNDLES = {
    "nothing": "",
    "a comment only": "# our CA",
    "too many": PEM * 17,
    "too long": "#" * BUNDLE_MAX + PEM,
    "letters outside ASCII": "# Zürich\n" + PEM,
    "no end": "\n".join(LINES[:-1]),
    "no beginning": "\n".join(LINES[1:]),
    "a line missing": "\n".join(LINES[:2] + LINES[3:]),
    "dots, as in the manual": "\n".join([*LINES[:2], "...", *LINES[-2:]]),
    "all in one line": f"{LINES[0]}\n{''.join(LINES[1:-1])}\n{LINES[-1]}",
    "an empty one": f"{LINES[0]}\n\n{LINES[-1]}",
    "a header in it": f"{LINES[0]}\nProc-Type: 4,ENCRYPTED\n\n" + "\n".join(LINES[1:]),
    "a private key": f"{PEM}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "a request": PEM.replace("CERTIFICATE", "CERTIFICATE REQUEST"),
    "a certificate with trust settings": PEM.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
    "something behind the certificate": PEM + PEM.replace(LINES[1], LINES[1][:-4] + "AAAA"),
}


@pytest.mark.parametrize("pem", GOOD_BUNDLES.values(), ids=GOOD_BUNDLES.keys())
def test_a_bundle_is_certificates_and_comments(pem: str) -> None:
    assert len(parse_bundle(pem)) == pem.count("BEGIN")


@pytest.mark.parametrize("pem", BAD_BUNDLES.values(), ids=BAD_BUNDLES.keys())
def test_a_bundle_of_anything_else_is_refused(pem: str) -> None:
    with pytest.raises(Malformed):
        parse_bundle(pem)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_bundle_that_is_taken_breaks_no_tls_connection() -> None:
    der = base64.b64decode("".join(LINES[1:-1]))
    random.seed(7)
    taken = 0
    for _ in range(1_500):
        spoilt = bytearray(der)
        spoilt[random.randrange(len(der))] = random.randrange(256)
        body = base64.encodebytes(bytes(spoilt)).decode()
        pem = f"{LINES[0]}\n{body}{LINES[-1]}\n"
        try:
            parse_bundle(pem)
        except Malformed:
            continue
        taken += 1
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    assert 0 < taken < 1_500


def test_in_the_config_map_one_bad_certificate_is_reported_and_the_others_count() -> None:
    other = certificate(serial=8)
    bundle, problems = parse_trusted(
        {
            "a-good": PEM,
            "b-note": "ask Mario",
            "c-mixed": f"{BAD_BUNDLES['dots, as in the manual']}\n{other}\n{BAD_BUNDLES['no end']}",
            "d-key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "e-empty": "",
            "f-again": PEM,
        }
    )
    assert [c.serial_number for c in parse_bundle(bundle)] == [7, 8]
    assert [p.entry for p in problems] == ["b-note", "c-mixed", "c-mixed", "d-key", "e-empty"]
    assert [p.message.split(":")[0] for p in problems[1:3]] == ["block 1", "block 3"]


def test_an_empty_config_map_trusts_nobody_and_has_no_problem() -> None:
    assert parse_trusted({}) == ("", ())


@given(bundles)
def test_good_certificates_all_count(pem: str) -> None:
    bundle, problems = parse_trusted({"all": pem} if pem else {})
    assert problems == ()
    assert bundle == pem


@given(st.dictionaries(st.text(), st.text() | st.just(PEM) | st.just(PEM[:300])))
def test_whatever_is_in_the_config_map_the_good_ones_count(data: dict[str, str]) -> None:
    bundle, problems = parse_trusted(data)
    assert bool(bundle) == any(PEM in text for text in data.values())
    assert {p.entry for p in problems} == {entry for entry, text in data.items() if text != PEM}


def test_a_fingerprint_is_the_one_that_openssl_prints() -> None:
    der = x509.load_pem_x509_certificate(PEM.encode())
    (shown,) = fingerprints(PEM)
    assert fingerprints("# comment\n" + PEM) == [shown]
    assert len(shown) == 95
    assert bytes.fromhex(shown.replace(":", "")) == der.fingerprint(der.signature_hash_algorithm)  # type: ignore[arg-type]
    assert len(fingerprints(PEM + certificate(serial=8))) == 2


COVERED = {
    "the name itself": ("rome.example", True),
    "in capitals": ("ROME.example", True),
    "an address": ("10.0.0.1", True),
    "an IPv6 address in another spelling": ("fd00:0::1", True),
    "a name below a wildcard": ("api.milan.example", True),
    "a name two levels below it": ("x.api.milan.example", False),
    "the wildcard's own domain": ("milan.example", False),
    "another name": ("turin.example", False),
    "another address": ("10.0.0.2", False),
}


@pytest.mark.parametrize("what", COVERED)
def test_what_a_certificate_is_for(what: str) -> None:
    host, covered = COVERED[what]
    assert covers(("rome.example", "*.milan.example", "10.0.0.1", "fd00::1"), host) is covered


def test_the_names_in_a_certificate_are_names_and_addresses() -> None:
    names = ("kubernetes.default.svc", "10.0.0.1", "fd00::1")
    made = make_server(make_ca("ca"), "kube-apiserver", names)
    assert names_in(made.certificate.public_bytes(Encoding.DER)) == names


def test_a_certificate_without_names_is_for_none_and_bytes_are_refused() -> None:
    assert names_in(ssl.PEM_cert_to_DER_cert(certificate())) == ()
    with pytest.raises(Malformed):
        names_in(b"x")
