-- A DP's database on PostgreSQL; what the columns tell stands in ../0001.sql. Rows
-- of mappings lie in partitions by label, and a look-up knows which one. Nothing
-- but a transaction that looks keeps ids unique over all of them.

CREATE TABLE mappings (
	id         BYTEA  NOT NULL CHECK (length(id) = 16),
	label      BYTEA  NOT NULL CHECK (length(label) = 32),
	digest     BYTEA  NOT NULL CHECK (length(digest) = 32),
	until      BIGINT NOT NULL,
	expires    BIGINT NOT NULL CHECK (until <= expires),
	generation BIGINT NOT NULL,
	key        BYTEA  NOT NULL,
	body       BYTEA  NOT NULL,
	PRIMARY KEY (label, id)
) PARTITION BY HASH (label);
CREATE TABLE mappings_0 PARTITION OF mappings FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE mappings_1 PARTITION OF mappings FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE mappings_2 PARTITION OF mappings FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE mappings_3 PARTITION OF mappings FOR VALUES WITH (MODULUS 4, REMAINDER 3);
CREATE INDEX mappings_id         ON mappings (id);
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
