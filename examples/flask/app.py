"""A Flask application whose pages get live events, through a Millrace hub beside it.

    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
    npx millrace-hub serve --store memory              (in a second terminal)
    .venv/bin/flask --app app run --port 5000

To see: listen to the hub, and let the application speak.

    curl -N 'http://127.0.0.1:4000/events?channel=news'
    curl -X POST http://127.0.0.1:5000/news -H 'Content-Type: application/json' -d '{"title": "It rains"}'
    curl http://127.0.0.1:5000/clients
    curl -X POST http://127.0.0.1:5000/clients/ID/notify -H 'Content-Type: application/json' \\
         -d '{"type": "success", "message": "Only for you"}'

The application holds no connections of clients, and needs no threads for them: it publishes, the hub delivers.
MILLRACE_URL is the hub's address, MILLRACE_API_KEY its key where it has one.
"""

import os
import uuid
from datetime import datetime, timezone
from urllib.parse import quote

import requests
from flask import Flask, jsonify, request
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

HUB = os.environ.get("MILLRACE_URL", "http://127.0.0.1:4000")
KINDS = ("success", "warning", "error", "info")

app = Flask(__name__)

# One session: its connections to the hub are kept open and used again, a request costs no new one.
hub = requests.Session()
# Sending again is safe, because every publish has an Idempotency-Key: the hub stores it once.
again = Retry(total=4, backoff_factor=0.2, status_forcelist=(502, 503, 504), allowed_methods=None, raise_on_status=False)
hub.mount("http://", HTTPAdapter(max_retries=again))
hub.mount("https://", HTTPAdapter(max_retries=again))
if key := os.environ.get("MILLRACE_API_KEY"):
    hub.headers["Authorization"] = f"Bearer {key}"


def publish(channel, event, data):
    """Publishes one event and answers with its id; None for a connection that is not there (any more)."""
    answer = hub.post(
        f"{HUB}/publish",
        json={"channel": channel, "event": event, "data": data},
        headers={"Idempotency-Key": str(uuid.uuid4())},
        timeout=5,
    )
    if answer.status_code == 404:
        return None
    answer.raise_for_status()
    return answer.json()["ids"][0]


def notification():
    """A notification out of the request's JSON. What is no known type is shown as info."""
    said = request.get_json()
    return {
        "id": str(uuid.uuid4()),
        "type": said["type"] if said.get("type") in KINDS else "info",
        "message": str(said.get("message", "")),
        "timestamp": datetime.now(timezone.utc).isoformat(),
    }


@app.post("/news")
def news():
    """To everyone who listens to the channel `news`."""
    return jsonify(id=publish("news", "headline", request.get_json())), 201


@app.get("/clients")
def clients():
    """Who is connected to the hub."""
    answer = hub.get(f"{HUB}/connections", timeout=5)
    answer.raise_for_status()
    return jsonify(
        [{name: client[name] for name in ("id", "user", "channels", "openedAt")} for client in answer.json()["connections"]]
    )


@app.post("/clients/<client>/notify")
def notify_client(client):
    """To one connection. Nothing is stored for one that is not there."""
    id = publish(f"@connection/{client}", "notification", notification())
    return jsonify(id=id, sent=id is not None), 201 if id else 404


@app.post("/users/<path:user>/notify")
def notify_user(user):
    """To all connections of a user, and to those that the user opens later: it is stored."""
    return jsonify(id=publish(f"@user/{user}", "notification", notification())), 201


@app.delete("/clients/<client>")
def disconnect(client):
    """Ends one connection, and tells its client not to come back."""
    answer = hub.delete(f"{HUB}/connections/{quote(client, safe='')}", params={"reconnect": "false"}, timeout=5)
    return "", answer.status_code
