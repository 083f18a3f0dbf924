-- An MSP's database. docs/spec/storage.md says of each table what its columns
-- tell somebody who steals the file.

CREATE TABLE uses (
	nonce  BYTEA  NOT NULL PRIMARY KEY CHECK (length(nonce) = 16),
	digest BYTEA  NOT NULL CHECK (length(digest) = 32), -- of the mapping that was signed
	signed BIGINT NOT NULL,
	until  BIGINT NOT NULL
);
CREATE INDEX uses_until ON uses (until);
