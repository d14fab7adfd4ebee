"""What stands between a client and its cloud and answers in the cloud's place: the bodies of proxies.

The fakes' `tamper` sends them for HTML_200, RATE_LIMIT and SERVER_ERROR.
"""

from __future__ import annotations

from cloudspan_kit.fakes.faults import Body

LOGIN_PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form>...</form></body></html>\n"
_PROXY_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
)


def foreign_body(body: Body, title: str) -> bytes:
    """Return what a proxy sends with an error, such as `502 Bad Gateway`: a page, a line of text, or nothing."""
    if body is Body.HTML:
        return _PROXY_PAGE.format(title).encode()
    return b"" if body is Body.EMPTY else f"{title}\n".encode()
