package observe

// Payload is what was signed.
func (u Unverified) Payload() []byte { return u.message.Payload }

// Payload is what was signed.
func (u UnverifiedList) Payload() []byte { return u.message.Payload }

// Payload encodes an observation again.
func (o Observation) Payload() ([]byte, error) { return o.payload() }

// Payload encodes a list again.
func (l List) Payload() ([]byte, error) { return l.payload() }
