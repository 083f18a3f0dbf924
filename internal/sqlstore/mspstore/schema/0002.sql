-- oldest: 1
-- What DPs have to tell the MSP's users.

CREATE TABLE inbox (
	box     BYTEA  NOT NULL CHECK (length(box) = 32), -- label of the CSI
	kind    TEXT   NOT NULL,
	mapping BYTEA  NOT NULL CHECK (length(mapping) = 16),
	since   BIGINT NOT NULL, -- seconds, as in the message
	until   BIGINT NOT NULL, -- seconds
	PRIMARY KEY (box, mapping, kind, since)
);
CREATE INDEX inbox_until ON inbox (until);
