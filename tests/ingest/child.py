"""An ingest node as a process of its own, to be killed by tests.

`child.py serve DIR` prints its address and serves until SIGTERM; `child.py count DIR` drains what is left and prints how often each
message id is stored.
"""

import sys
import time
from pathlib import Path

import uvicorn

from funnelwatch.ingest.api import IngestApp
from funnelwatch.ingest.drain import Drain
from funnelwatch.ingest.readers import Readers
from funnelwatch.ingest.snapshot import KeyInfo, Snapshot
from funnelwatch.ingest.spool import Spool
from funnelwatch.store.client import connect
from funnelwatch.store.migrate import migrate
from funnelwatch.web.connection import Connection


def main(mode: str, directory: Path) -> None:
    client = connect(directory / "chdb")
    migrate(client)
    drain = Drain(directory / "spool", client)
    if mode == "serve":
        _serve(Spool(directory / "spool", 10**9), drain)
        return
    drain.start()
    while drain.stats().waiting_events:
        time.sleep(0.05)
    drain.stop()
    for message_id, count in client.query("SELECT message_id, count() FROM events GROUP BY message_id"):
        sys.stdout.write(f"{message_id} {count}\n")


def _serve(spool: Spool, drain: Drain) -> None:
    app = IngestApp(Snapshot(keys={"wk_test": KeyInfo(project_id=1, salt="salt")}), Readers(1, spool))
    app.ingest = app
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, http=Connection, log_level="error", lifespan="off", proxy_headers=False, timeout_graceful_shutdown=2)
    )
    config = server.config
    config.load()
    socket = config.bind_socket()
    socket.listen(128)  # who reads the address may connect at once
    drain.start()
    sys.stdout.write(f"http://127.0.0.1:{socket.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run(sockets=[socket])
    drain.stop()
    spool.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
