export default `
-- Those that want to ask the portal no longer queue (portal_queue stays for hooks of the version before that are on their way).
-- The process that has a line to the portal, and asks it for its siblings; its pid is 0 where there is none. The moment is
-- when it was last heard of.
CREATE TABLE leader (
  id INTEGER PRIMARY KEY CHECK (id = 1), term INTEGER NOT NULL, pid INTEGER NOT NULL,
  -- Which portal it asks, and how: whoever goes by another configuration has nothing from it.
  portal TEXT NOT NULL,
  wall INTEGER NOT NULL, boot TEXT NOT NULL, mono INTEGER NOT NULL
) STRICT;
INSERT INTO leader VALUES (1, 0, 0, '', 0, '', 0);

-- What they have left to it. The number is one of the sequence's, so none is ever given twice.
CREATE TABLE question (
  number INTEGER PRIMARY KEY, pid INTEGER NOT NULL, boot TEXT NOT NULL,
  -- Monotonic milliseconds of that boot: by then nobody needs the answer any more.
  until INTEGER NOT NULL,
  request TEXT NOT NULL CHECK (json_valid(request)),
  -- The term of the leader that is asking the portal; 0 while none is; -1 where its process has gone on alone.
  taken INTEGER NOT NULL DEFAULT 0,
  -- 1 once a leader's connection did not answer it.
  again INTEGER NOT NULL DEFAULT 0,
  answer TEXT CHECK (json_valid(answer))
) STRICT;
`;
