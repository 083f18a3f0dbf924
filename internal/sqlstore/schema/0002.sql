-- What else a DP keeps of a CSI: claims, re-proofs, events, notices. A release that
-- knows schema 1 alone goes on while it runs, but cannot read mappings of joined
-- keys and lets claims wait: it is not started again.

CREATE TABLE records (
	id         BYTEA    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
	label      BYTEA    NOT NULL CHECK (length(label) = 32),
	kind       SMALLINT NOT NULL CHECK (kind BETWEEN 1 AND 5),
	revision   BIGINT   NOT NULL CHECK (revision > 0),
	due        BIGINT   NOT NULL, -- when something is to be done about it
	until      BIGINT   NOT NULL, -- it is kept until then
	generation BIGINT   NOT NULL,
	key        BYTEA    NOT NULL,
	body       BYTEA    NOT NULL
);
CREATE INDEX records_label      ON records (label);
CREATE INDEX records_kind       ON records (kind, id);
CREATE INDEX records_due        ON records (due, id);
CREATE INDEX records_until      ON records (until, id);
CREATE INDEX records_generation ON records (generation);

-- Where the served clock stands: one row.
CREATE TABLE clock (
	one   BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	seen  BIGINT NOT NULL, -- when a DP was at work last
	stood BIGINT NOT NULL  -- milliseconds in all
);
INSERT INTO clock (one, seen, stood) VALUES (1, 0, 0);
