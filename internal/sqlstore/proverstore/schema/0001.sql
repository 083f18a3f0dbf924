-- A prover's database. docs/spec/storage.md says of each table what its columns
-- tell somebody who steals the file.

CREATE TABLE challenges (
	id         BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 32),    -- label of the challenge's id
	label      BYTEA  NOT NULL UNIQUE      CHECK (length(label) = 32), -- label of its mailbox
	started    BIGINT NOT NULL,
	expires    BIGINT NOT NULL,
	due        BIGINT,          -- when to deliver; null when there is nothing to
	generation BIGINT NOT NULL,
	key        BYTEA  NOT NULL, -- data key, wrapped under the generation
	body       BYTEA  NOT NULL  -- sealed under the data key
);
CREATE INDEX challenges_started    ON challenges (started);
CREATE INDEX challenges_expires    ON challenges (expires);
CREATE INDEX challenges_due        ON challenges (due) WHERE due IS NOT NULL;
CREATE INDEX challenges_generation ON challenges (generation);
