package sqlstore

import (
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"whither/internal/dp/directory"
	"whither/internal/sqlstore/sealed"
	"whither/registry"
)

// A row's body is read for every answer, so it is laid out to be read without
// copying, in a third of the time that canonical CBOR takes. Numbers are
// big-endian, parts stand behind their lengths; there is one encoding of each
// value. Presentation language of RFC 8446 section 3:
//
//	struct {
//		uint8  layout;                // 1; 2 where there is a lineage; 3 where entries have ended
//		opaque holder[16];
//		opaque lineage[16];
//		uint64 sequence;
//		uint8  audience;              // 0 or 1
//		Name   providers<0..2^16-1>;  // opaque Name<4..253> each, in the order of the entries
//		opaque mapping<1..2^16-1>;
//		Part   receipts<0..2^16-1>;   // opaque Part<1..2^16-1> each
//		Part   lineage<0..2^16-1>;    // in layouts 2, where it is not empty, and 3
//		uint8  ended;                 // in layout 3: of entry i, bit 2^i; not 0
//		Part   ends<1..2^16-1>;       // in layout 3: one a bit
//	} Body;
//
// What stands in columns beside it is not repeated.
const (
	layout        = 1
	layoutLineage = 2
	layoutEnded   = 3
)

// appendBody encodes the sealed part of s.
func appendBody(s directory.Stored) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, s.Bundle.Size()+256))
	version := uint8(layout)
	switch {
	case len(s.Ended) != 0:
		version = layoutEnded
	case len(s.Bundle.Lineage) != 0:
		version = layoutLineage
	}
	b.AddUint8(version)
	b.AddBytes(s.Holder[:])
	b.AddBytes(s.Lineage[:])
	b.AddUint64(s.Sequence)
	if s.Audience {
		b.AddUint8(1)
	} else {
		b.AddUint8(0)
	}
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, p := range s.Providers {
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(p.String())) })
		}
	})
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.Bundle.Mapping) })
	addParts(b, s.Bundle.Receipts)
	if version != layout {
		addParts(b, s.Bundle.Lineage)
	}
	if version == layoutEnded {
		var ended uint8
		for i, p := range s.Providers {
			if slices.Contains(s.Ended, p) {
				ended |= 1 << i
			}
		}
		b.AddUint8(ended)
		addParts(b, s.Bundle.Ends)
	}
	body, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("sqlstore: body: %w", err)
	}
	return body, nil
}

func addParts(b *cryptobyte.Builder, parts [][]byte) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, p := range parts {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(p) })
		}
	})
}

// readParts reads what addParts wrote, as slices of it.
func readParts(in *cryptobyte.String) (parts [][]byte, ok bool) {
	var all cryptobyte.String
	if !in.ReadUint16LengthPrefixed(&all) {
		return nil, false
	}
	for !all.Empty() {
		var p cryptobyte.String
		if !all.ReadUint16LengthPrefixed(&p) || len(p) == 0 {
			return nil, false
		}
		parts = append(parts, p)
	}
	return parts, true
}

// parseBody decodes a body into s, which keeps slices of it.
func parseBody(body []byte, s *directory.Stored) error {
	in := cryptobyte.String(body)
	var version, audience, ended uint8
	var providers cryptobyte.String
	ok := in.ReadUint8(&version) && version >= layout && version <= layoutEnded &&
		in.CopyBytes(s.Holder[:]) && in.CopyBytes(s.Lineage[:]) && in.ReadUint64(&s.Sequence) &&
		in.ReadUint8(&audience) && audience <= 1 &&
		in.ReadUint16LengthPrefixed(&providers) &&
		in.ReadUint16LengthPrefixed((*cryptobyte.String)(&s.Bundle.Mapping)) && len(s.Bundle.Mapping) != 0
	if ok {
		s.Bundle.Receipts, ok = readParts(&in)
	}
	if ok && version != layout {
		s.Bundle.Lineage, ok = readParts(&in)
		ok = ok && (version == layoutEnded || len(s.Bundle.Lineage) != 0)
	}
	if ok && version == layoutEnded {
		ok = in.ReadUint8(&ended) && ended != 0
		if ok {
			s.Bundle.Ends, ok = readParts(&in)
		}
	}
	if !ok || !in.Empty() {
		return fmt.Errorf("%w: body", sealed.ErrCorrupt)
	}
	s.Audience = audience == 1
	for !providers.Empty() {
		var name cryptobyte.String
		if !providers.ReadUint8LengthPrefixed(&name) {
			return fmt.Errorf("%w: providers", sealed.ErrCorrupt)
		}
		p, err := registry.ParsePartyID(string(name))
		if err != nil {
			return fmt.Errorf("%w: provider: %w", sealed.ErrCorrupt, err)
		}
		if ended>>len(s.Providers)&1 == 1 {
			s.Ended = append(s.Ended, p)
		}
		s.Providers = append(s.Providers, p)
	}
	if ended>>len(s.Providers) != 0 || len(s.Bundle.Ends) != len(s.Ended) {
		return fmt.Errorf("%w: ends", sealed.ErrCorrupt)
	}
	return nil
}
