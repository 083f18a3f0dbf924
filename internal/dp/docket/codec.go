package docket

import (
	"time"

	"whither/csi"
	"whither/internal/canon"
	"whither/internal/dp/precedence"
	"whither/key"
	"whither/mapping"
	"whither/possession"
)

// The bodies of records. Times are milliseconds since 1970, durations seconds.
type claimBody struct {
	CSI       csi.Clear   `cbor:"1,keyasint"`
	Lineage   []byte      `cbor:"2,keyasint"`
	Holder    []byte      `cbor:"3,keyasint"`
	Family    string      `cbor:"4,keyasint,omitempty"`
	Level     uint8       `cbor:"5,keyasint"`
	Proved    int64       `cbor:"6,keyasint"`
	Expires   int64       `cbor:"7,keyasint"`
	Row       uint8       `cbor:"8,keyasint"`
	Round     int         `cbor:"9,keyasint"`
	Opened    int64       `cbor:"10,keyasint"`
	Need      uint8       `cbor:"11,keyasint"`
	Phase     uint8       `cbor:"12,keyasint"`
	Since     int64       `cbor:"13,keyasint"`
	Lives     bool        `cbor:"14,keyasint,omitempty"`
	Asked     []askedBody `cbor:"15,keyasint,omitempty"`
	Mapping   []byte      `cbor:"16,keyasint,omitempty"`
	Receipts  [][]byte    `cbor:"17,keyasint,omitempty"`
	Statement [][]byte    `cbor:"18,keyasint,omitempty"`
	Decisions [][]byte    `cbor:"19,keyasint,omitempty"`
	Why       string      `cbor:"20,keyasint,omitempty"`
}

type askedBody struct {
	_        struct{} `cbor:",toarray"`
	Lineage  []byte
	At       int64
	Hold     int64
	Term     int64
	Answered bool
}

type proofBody struct {
	Lineage []byte `cbor:"1,keyasint"`
	Level   uint8  `cbor:"2,keyasint"`
	Proved  int64  `cbor:"3,keyasint"`
}

type retiredBody struct {
	Key []byte `cbor:"1,keyasint"`
}

type eventBody struct {
	Kind     uint8  `cbor:"1,keyasint"`
	At       int64  `cbor:"2,keyasint"`
	Believed bool   `cbor:"3,keyasint,omitempty"`
	Source   string `cbor:"4,keyasint,omitempty"`
}

// maxRecord bounds a record's body: a mapping with all that travels beside it.
const maxRecord = 64 << 10

func millis(t time.Time) int64      { return t.UnixMilli() }
func moment(ms int64) time.Time     { return time.UnixMilli(ms).UTC() }
func seconds(s int64) time.Duration { return time.Duration(s) * time.Second }

// read takes a record into the docket.
func (k *Docket) read(r Record) error {
	switch r.Kind {
	case RecordClaim:
		_, c, err := ReadClaim(r)
		if err != nil {
			return err
		}
		k.Claims, k.Facts.Claims = append(k.Claims, c), append(k.Facts.Claims, c.Claim)
	case RecordProof:
		var b proofBody
		if err := canon.Unmarshal(r.Body, maxRecord, &b); err != nil {
			return err
		}
		k.proofs[r.ID] = proof{mapping.Lineage(fit(b.Lineage)), precedence.Proof{Level: possession.Level(b.Level), At: moment(b.Proved)}}
	case RecordRetired:
		var b retiredBody
		if err := canon.Unmarshal(r.Body, maxRecord, &b); err != nil {
			return err
		}
		k.retired[key.ID(fit(b.Key))] = r.ID
	case RecordEvent:
		var b eventBody
		if err := canon.Unmarshal(r.Body, maxRecord, &b); err != nil {
			return err
		}
		k.Facts.Events = append(k.Facts.Events, precedence.Event{Kind: precedence.EventKind(b.Kind), At: moment(b.At), Believed: b.Believed})
	case RecordNotice: // no part of a case
	}
	return nil
}

// fit makes b as long as an id is. What a store authenticates has that length.
func fit(b []byte) []byte {
	out := make([]byte, 16)
	copy(out, b)
	return out
}

// ReadClaim returns a claim, and the CSI that it is on.
func ReadClaim(r Record) (csi.ID, Claim, error) {
	var b claimBody
	if err := canon.Unmarshal(r.Body, maxRecord, &b); err != nil {
		return csi.ID{}, Claim{}, err
	}
	c := Claim{record: r, Decisions: b.Decisions, Why: b.Why, Bundle: mapping.Bundle{Mapping: b.Mapping, Receipts: b.Receipts, Lineage: b.Statement}}
	c.Claim = precedence.Claim{
		ID: mapping.ID(r.ID), Lineage: mapping.Lineage(fit(b.Lineage)), Holder: key.ID(fit(b.Holder)), Family: b.Family,
		Proof: precedence.Proof{Level: possession.Level(b.Level), At: moment(b.Proved)}, Expires: moment(b.Expires), Row: precedence.Row(b.Row),
		Round: b.Round, Opened: moment(b.Opened), Need: possession.Level(b.Need), Phase: precedence.Phase(b.Phase), Since: moment(b.Since), Lives: b.Lives,
	}
	for _, a := range b.Asked {
		c.Asked = append(c.Asked, precedence.Asked{
			Lineage: mapping.Lineage(fit(a.Lineage)), At: moment(a.At), Hold: seconds(a.Hold), Term: seconds(a.Term), Answered: a.Answered,
		})
	}
	return b.CSI.ID, c, nil
}

// writeClaim returns a claim's record, due when time will change it.
func (k *Docket) writeClaim(c Claim) (Record, error) {
	b := claimBody{
		CSI: csi.Clear{ID: k.CSI}, Lineage: c.Lineage[:], Holder: c.Holder[:], Family: c.Family, Level: uint8(c.Proof.Level), Proved: millis(c.Proof.At),
		Expires: millis(c.Expires), Row: uint8(c.Row), Round: c.Round, Opened: millis(c.Opened), Need: uint8(c.Need), Phase: uint8(c.Phase),
		Since: millis(c.Since), Lives: c.Lives, Mapping: c.Bundle.Mapping, Receipts: c.Bundle.Receipts, Statement: c.Bundle.Lineage,
		Decisions: c.Decisions, Why: c.Why,
	}
	for _, a := range c.Asked {
		b.Asked = append(b.Asked, askedBody{
			Lineage: a.Lineage[:], At: millis(a.At), Hold: int64(a.Hold / time.Second), Term: int64(a.Term / time.Second), Answered: a.Answered,
		})
	}
	r := c.record
	if c.Phase == precedence.Done { // the evidence is in the mapping
		b.Mapping, b.Receipts, b.Statement = nil, nil, nil
	}
	body, err := canon.Marshal(b)
	if err != nil {
		return Record{}, err
	}
	r.ID, r.Kind, r.Body, r.Due = RecordID(c.ID), RecordClaim, body, time.Time{}
	// Evidence of a claim that came to nothing is kept for as long as it counts
	// against the next one, and no longer.
	r.Until = k.Clock.Now.Add(precedence.Memory)
	if c.Phase.Open() {
		r.Due = c.Next().Add(k.stood())
		if c.Lineage != (mapping.Lineage{}) && c.Expires.Before(r.Due) && c.Phase != precedence.Leaving {
			r.Due = c.Expires
		}
		r.Until = r.Due.Add(mapping.MaxLife)
	}
	return r, nil
}
