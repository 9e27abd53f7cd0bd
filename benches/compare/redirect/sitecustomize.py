"""Sends what a Python program asks of app.asana.com to the address in ASANA_STAND_IN.

Both connectors have Asana's address built in. This file is put on their PYTHONPATH; their own code stays as it is.
"""

import os

import urllib3

STAND_IN = os.environ.get("ASANA_STAND_IN", "")
ASANA = "https://app.asana.com"


def redirected(url: str) -> str:
    if not STAND_IN:
        raise RuntimeError("ASANA_STAND_IN is not set")
    return STAND_IN + url[len(ASANA):] if url.startswith(ASANA) else url


def redirect_urllib3() -> None:
    original = urllib3.PoolManager.urlopen

    def urlopen(self, method, url, *arguments, **options):
        return original(self, method, redirected(url), *arguments, **options)

    urllib3.PoolManager.urlopen = urlopen


def redirect_requests() -> None:
    try:
        from requests.adapters import HTTPAdapter
    except ImportError:
        return
    original = HTTPAdapter.send

    def send(self, request, *arguments, **options):
        request.url = redirected(request.url)
        return original(self, request, *arguments, **options)

    HTTPAdapter.send = send


redirect_urllib3()
redirect_requests()
