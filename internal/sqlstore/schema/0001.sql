-- A DP's database. docs/spec/storage.md says of each table what its columns
-- tell somebody who steals the file.

CREATE TABLE mappings (
	id         BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
	label      BYTEA  NOT NULL CHECK (length(label) = 32),
	digest     BYTEA  NOT NULL CHECK (length(digest) = 32),
	until      BIGINT NOT NULL, -- end of the DP's signature
	expires    BIGINT NOT NULL CHECK (until <= expires),
	generation BIGINT NOT NULL,
	key        BYTEA  NOT NULL, -- data key, wrapped under the generation
	body       BYTEA  NOT NULL  -- sealed under the data key
);
CREATE INDEX mappings_label      ON mappings (label);
CREATE INDEX mappings_until      ON mappings (until, id);
CREATE INDEX mappings_expires    ON mappings (expires, id);
CREATE INDEX mappings_generation ON mappings (generation);

CREATE TABLE tombstones (
	id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16)
);

CREATE TABLE nonces (
	nonce BYTEA  NOT NULL PRIMARY KEY CHECK (length(nonce) = 16),
	until BIGINT NOT NULL
);
CREATE INDEX nonces_until ON nonces (until);

CREATE TABLE changes (
	seq  BIGINT   NOT NULL PRIMARY KEY,
	kind SMALLINT NOT NULL CHECK (kind BETWEEN 1 AND 5),
	id   BYTEA    NOT NULL CHECK (length(id) = 16),
	at   BIGINT   NOT NULL
);

-- The highest number given out. One row, so that writers queue here and
-- numbers become visible in their order.
CREATE TABLE feed (
	one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	seq BIGINT NOT NULL
);
INSERT INTO feed (one, seq) VALUES (1, 0);
