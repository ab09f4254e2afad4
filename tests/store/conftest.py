"""Both engines for the same tests: chDB in process, and clickhouse-driver over the native protocol."""

from collections.abc import Iterator

import pytest

from funnelwatch.store.client import Client
from funnelwatch.store.embedded import ChdbClient
from funnelwatch.store.server import NativeClient
from tests.store.native_server import NativeServer, serve


@pytest.fixture(scope="session")
def native_server(store: ChdbClient) -> Iterator[NativeServer]:
    """The engine of `store` on a socket."""
    with serve(store) as server:
        yield server


@pytest.fixture(scope="session")
def native_client(native_server: NativeServer) -> Iterator[NativeClient]:
    """clickhouse-driver connected to it."""
    client = NativeClient(native_server.url)
    yield client
    client.close()


@pytest.fixture(scope="session", params=["chdb", "native"])
def engine(request: pytest.FixtureRequest, store: ChdbClient, native_client: NativeClient) -> Client:
    """A client on either engine."""
    return store if request.param == "chdb" else native_client
