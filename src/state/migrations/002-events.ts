export default `
-- The outbox: what the portal has not taken yet. A row goes only when the portal took it, or a newer one made it void.
CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  -- A UUIDv7, the same over every retry: the portal drops repeats by it.
  id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL CHECK (type IN ('connect', 'disconnect', 'update')),
  session_id TEXT NOT NULL,
  username TEXT NOT NULL,
  -- NULL where ocserv named none: then the portal need not hear of our default.
  vhost TEXT,
  -- When it happened, wall milliseconds: a call may come much later.
  at_wall INTEGER NOT NULL,
  body TEXT NOT NULL CHECK (json_valid(body)),
  attempts INTEGER NOT NULL DEFAULT 0,
  -- Not before this wall time; 0 for at once.
  retry_at INTEGER NOT NULL DEFAULT 0,
  last_error TEXT,
  -- Set aside: the portal will never take it as it is. NULL while it is pending.
  failed_wall INTEGER
) STRICT;
CREATE INDEX event_due ON event (retry_at, seq) WHERE failed_wall IS NULL;
CREATE INDEX event_of_session ON event (session_id, seq);
CREATE INDEX event_droppable ON event (seq) WHERE failed_wall IS NULL AND type <> 'disconnect';
CREATE INDEX event_failed ON event (failed_wall) WHERE failed_wall IS NOT NULL;

-- How many are pending: counting them would read them all.
CREATE TABLE event_size (id INTEGER PRIMARY KEY CHECK (id = 1), pending INTEGER NOT NULL) STRICT;
INSERT INTO event_size VALUES (1, 0);
CREATE TRIGGER event_added AFTER INSERT ON event WHEN new.failed_wall IS NULL
  BEGIN UPDATE event_size SET pending = pending + 1 WHERE id = 1; END;
CREATE TRIGGER event_removed AFTER DELETE ON event WHEN old.failed_wall IS NULL
  BEGIN UPDATE event_size SET pending = pending - 1 WHERE id = 1; END;
CREATE TRIGGER event_set_aside AFTER UPDATE OF failed_wall ON event
  WHEN (old.failed_wall IS NULL) <> (new.failed_wall IS NULL)
  BEGIN UPDATE event_size SET pending = pending + iif(new.failed_wall IS NULL, 1, -1) WHERE id = 1; END;

-- Who delivers: at most one process, by a lease. 'called' is one that a hook has sent for and that is not there yet.
CREATE TABLE drain (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  term INTEGER NOT NULL,
  lease TEXT NOT NULL CHECK (lease IN ('free', 'called', 'held')),
  pid INTEGER NOT NULL,
  wall INTEGER NOT NULL, boot TEXT NOT NULL, mono INTEGER NOT NULL,
  -- Drains in a row that found the portal away, and when the next may try.
  failures INTEGER NOT NULL, retry_at INTEGER NOT NULL, last_error TEXT
) STRICT;
INSERT INTO drain VALUES (1, 0, 'free', 0, 0, '', 0, 0, 0, NULL);

-- Sessions that must end, by the portal's word. No hook may talk to ocserv, so a drain carries them out.
CREATE TABLE disconnect_order (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  username TEXT NOT NULL,
  -- One session of his, or all that were live; then not the one whose own connect was denied.
  session_id TEXT, except_ocserv_id TEXT NOT NULL,
  reason TEXT NOT NULL, detail TEXT NOT NULL,
  wall INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, retry_at INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One row a session, with what there is to know of it now. A new table, to which only live sessions are carried over: a hook
-- may be the first to come by, and must not have to change rows by the hundred thousand. Those that had ended stay in
-- the old one until maintain removes them; nothing refers to them any more.
ALTER TABLE session RENAME TO session_before_events;
CREATE TABLE session (
  id INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL,
  ocserv_id TEXT NOT NULL,
  vhost TEXT NOT NULL, vhost_named INTEGER NOT NULL,
  username TEXT NOT NULL, groupname TEXT NOT NULL,
  client_ip TEXT NOT NULL, vpn_ip TEXT NOT NULL, device TEXT NOT NULL,
  source TEXT NOT NULL,
  routes TEXT NOT NULL CHECK (json_valid(routes)),
  dns_servers TEXT NOT NULL CHECK (json_valid(dns_servers)),
  -- What the portal answered to the connect's report; NULL until it has.
  updated_routes TEXT CHECK (updated_routes IS NULL OR json_valid(updated_routes)),
  connected_wall INTEGER NOT NULL, connected_boot TEXT NOT NULL, connected_mono INTEGER NOT NULL,
  updated_wall INTEGER,
  ended_wall INTEGER,
  -- As the portal names it, without its prefix. On a live session: what it is being ended for.
  end_reason TEXT,
  -- The event id of the session's one disconnect, made at its connect: whoever reports the end, the portal books it once.
  end_event_id TEXT,
  bytes_in TEXT, bytes_out TEXT, duration_seconds TEXT,
  -- What occtl and the kernel told last of a live session, and when. Packets and bytes never decrease.
  seen_wall INTEGER,
  seen_bytes_in TEXT, seen_bytes_out TEXT, seen_packets_in TEXT, seen_packets_out TEXT,
  -- Since when occtl does not list it any more.
  missing_wall INTEGER, missing_boot TEXT, missing_mono INTEGER,
  metadata TEXT NOT NULL CHECK (json_valid(metadata))
) STRICT;
INSERT INTO session (id, session_id, ocserv_id, vhost, vhost_named, username, groupname, client_ip, vpn_ip, device,
    source, routes, dns_servers, connected_wall, connected_boot, connected_mono, updated_wall, metadata)
  SELECT id, session_id, ocserv_id, vhost, 0, username, groupname, client_ip, vpn_ip, device,
    source, routes, dns_servers, connected_wall, connected_boot, connected_mono, updated_wall, metadata
  -- The index finds them among all that have ended.
  FROM session_before_events INDEXED BY session_live WHERE ended_wall IS NULL;
DROP INDEX session_live;
-- ocserv's ID is a process id, which recurs. A connect pays for the first two only.
CREATE INDEX session_live ON session (ocserv_id) WHERE ended_wall IS NULL;
CREATE INDEX session_live_id ON session (session_id) WHERE ended_wall IS NULL;
CREATE INDEX session_ended ON session (ended_wall) WHERE ended_wall IS NOT NULL;
CREATE INDEX session_ended_id ON session (session_id) WHERE ended_wall IS NOT NULL;
CREATE INDEX session_ended_ocserv_id ON session (ocserv_id) WHERE ended_wall IS NOT NULL;

-- ocserv as occtl last met it: through which socket, and since when that is dead.
CREATE TABLE occtl_contact (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  socket TEXT, dead_wall INTEGER, dead_boot TEXT, dead_mono INTEGER
) STRICT;
INSERT INTO occtl_contact VALUES (1, NULL, NULL, NULL, NULL);
`;
