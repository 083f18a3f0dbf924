-- An observer's database. docs/spec/storage.md says of each table what its
-- columns tell somebody who steals the file.

CREATE TABLE places (
	id         BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 32), -- label of the place
	label      BYTEA  NOT NULL CHECK (length(label) = 32),          -- label of its name
	due        BIGINT NOT NULL,
	expires    BIGINT NOT NULL,
	generation BIGINT NOT NULL,
	key        BYTEA  NOT NULL, -- data key, wrapped under the generation
	body       BYTEA  NOT NULL  -- sealed under the data key
);
CREATE INDEX places_label      ON places (label);
CREATE INDEX places_due        ON places (due);
CREATE INDEX places_expires    ON places (expires);
CREATE INDEX places_generation ON places (generation);

-- Keys of popular names, for the list of their day. They are in no secret.
CREATE TABLE sightings (
	day    BIGINT NOT NULL,
	kind   BIGINT NOT NULL,
	name   BYTEA  NOT NULL,
	label  BYTEA  NOT NULL,
	digest BYTEA  NOT NULL CHECK (length(digest) = 32),
	dnssec BIGINT NOT NULL,
	PRIMARY KEY (day, kind, name, label, digest)
);

CREATE TABLE lists (
	day    BIGINT NOT NULL PRIMARY KEY,
	digest BYTEA  NOT NULL CHECK (length(digest) = 32),
	size   BIGINT NOT NULL,
	bytes  BYTEA  NOT NULL
);
