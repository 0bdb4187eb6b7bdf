"""Superset on one machine. What a real one needs besides (a database of its own, a cache, workers) is in its manual; nothing of it is asked here.

SUPERSET_DATA names the folder of what it remembers; in there is "secret", which signs its sessions.
"""

import os

DATA = os.environ["SUPERSET_DATA"]
with open(os.path.join(DATA, "secret"), encoding="ascii") as f:
    SECRET_KEY = f.read().strip()
SQLALCHEMY_DATABASE_URI = "sqlite:///" + os.path.join(DATA, "superset.db")
TALISMAN_ENABLED = False  # it would send the browser to https
SESSION_COOKIE_SAMESITE = "Lax"
