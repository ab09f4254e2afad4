"""Both engines for the same tests: chDB in process, and clickhouse-driver over the native protocol."""

from collections.abc import Iterator

import pytest

from funnelwatch.store.client import ChdbClient, Client, NativeClient
from tests.store.native_server import NativeServer, serve


@pytest.fixture(scope="session")
def native_server(store: ChdbClient) -> Iterator[NativeServer]:
    """The engine of `store` on a socket."""
    with serve(store) as server:
        yield server


@pytest.fixture(scope="session", params=["chdb", "native"])
def engine(request: pytest.FixtureRequest, store: ChdbClient, native_server: NativeServer) -> Iterator[Client]:
    """A client on either engine."""
    if request.param == "chdb":
        yield store
        return
    client = NativeClient(native_server.url)
    yield client
    client.close()
