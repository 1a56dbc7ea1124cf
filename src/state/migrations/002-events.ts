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
  session_id TEXT, ocserv_id TEXT NOT NULL, except_ocserv_id TEXT NOT NULL,
  reason TEXT NOT NULL, detail TEXT NOT NULL,
  wall INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, retry_at INTEGER NOT NULL DEFAULT 0
) STRICT;

ALTER TABLE session ADD COLUMN vhost_named INTEGER NOT NULL DEFAULT 0;
-- The event id of the session's one disconnect, made at its connect: whoever reports the end, the portal books it once.
ALTER TABLE session ADD COLUMN end_event_id TEXT;
ALTER TABLE session ADD COLUMN updated_routes TEXT CHECK (updated_routes IS NULL OR json_valid(updated_routes));
-- As the portal names it, without its prefix. On a live session: what it is being ended for.
ALTER TABLE session ADD COLUMN end_reason TEXT;
-- What occtl and the kernel told last of a live session, and when. Packets and bytes never decrease.
ALTER TABLE session ADD COLUMN seen_wall INTEGER;
ALTER TABLE session ADD COLUMN seen_bytes_in TEXT;
ALTER TABLE session ADD COLUMN seen_bytes_out TEXT;
ALTER TABLE session ADD COLUMN seen_packets_in TEXT;
ALTER TABLE session ADD COLUMN seen_packets_out TEXT;
-- Since when occtl does not list it any more.
ALTER TABLE session ADD COLUMN missing_wall INTEGER;
ALTER TABLE session ADD COLUMN missing_boot TEXT;
ALTER TABLE session ADD COLUMN missing_mono INTEGER;
CREATE INDEX session_of_session_id ON session (session_id);
CREATE INDEX session_of_ocserv_id ON session (ocserv_id);
CREATE INDEX session_ended ON session (ended_wall) WHERE ended_wall IS NOT NULL;

-- ocserv as occtl last met it: through which socket, and since when that is dead.
CREATE TABLE occtl_contact (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  socket TEXT, dead_wall INTEGER, dead_boot TEXT, dead_mono INTEGER
) STRICT;
INSERT INTO occtl_contact VALUES (1, NULL, NULL, NULL, NULL);
`;
