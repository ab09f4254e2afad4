"""What browser clients fetch before they send anything, from their vendor's host unless they are told ours: no integration but this host."""

import msgspec


def segment(write_key: str, host: str, scheme: str) -> bytes:
    """For analytics.js with `cdnURL` set to this host, at `/v1/projects/{write_key}/settings`."""
    return msgspec.json.encode(
        {
            "integrations": {
                "Segment.io": {
                    "apiKey": write_key,
                    "apiHost": f"{host}/v1",
                    "protocol": scheme,
                    # A visitor's last call, made while leaving a fresh page: arrives 6 of 6 times, without this 1 of 6.
                    "deliveryStrategy": {"config": {"keepalive": True}},
                }
            },
            "plan": {"track": {"__default": {"enabled": True}}, "identify": {"__default": {"enabled": True}}},
            "metrics": {"sampleRate": 0},
            "analyticsNextEnabled": True,
            "middlewareSettings": {},
            "enabledMiddleware": {},
            "remotePlugins": [],
            "edgeFunction": {},
        }
    )


def rudder(write_key: str) -> bytes:
    """For RudderStack's browser client with `configUrl` set to this host's `/v1`, at `/v1/sourceConfig/`."""
    nothing_reported = {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}}
    source = {
        "id": write_key,
        "name": "FunnelWatch",
        "writeKey": write_key,
        "workspaceId": write_key,
        "enabled": True,
        "config": nothing_reported,
        "destinations": [],
    }
    return msgspec.json.encode({"source": source})
