-- oldest: 1
-- What the MSP has confirmed, to end it when an account goes.

CREATE TABLE confirmed (
	box     BYTEA  NOT NULL CHECK (length(box) = 32), -- label of the CSI
	digest  BYTEA  NOT NULL CHECK (length(digest) = 32), -- of the mapping that was signed
	mapping BYTEA  NOT NULL CHECK (length(mapping) = 16),
	dp      TEXT   NOT NULL,
	signed  BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	ended   BIGINT NOT NULL, -- 0: it stands
	due     BIGINT NOT NULL, -- of what has ended: when to tell the DP
	PRIMARY KEY (box, digest)
);
CREATE INDEX confirmed_due ON confirmed (due) WHERE ended > 0;
CREATE INDEX confirmed_expires ON confirmed (expires);

CREATE TABLE leaving (  -- CSIs whose accounts are to go
	box BYTEA NOT NULL PRIMARY KEY CHECK (length(box) = 32)
);
