-- What the bare side of the measurement enrol writes: bytes, and nothing else.

CREATE TABLE bare (
	body BYTEA NOT NULL
);
