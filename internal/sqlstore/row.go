package sqlstore

import (
	"database/sql"
	"encoding/binary"
	"fmt"

	"whither/csi"
	"whither/internal/canon"
	"whither/internal/dp/directory"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
)

// mappingRow is a row of the table mappings as it is written and read.
type mappingRow struct {
	id             mapping.ID
	label          vault.Label
	digest         mapping.Digest
	until, expires int64
	vault.Sealed
}

// mappingBody is what a row's body says, beside the columns in clear.
type mappingBody struct {
	Mapping   []byte             `cbor:"1,keyasint"`
	Receipts  [][]byte           `cbor:"2,keyasint"`
	Holder    key.ID             `cbor:"3,keyasint"`
	Lineage   mapping.Lineage    `cbor:"4,keyasint"`
	Sequence  uint64             `cbor:"5,keyasint"`
	Providers []registry.PartyID `cbor:"6,keyasint"`
	Audience  bool               `cbor:"7,keyasint"`
}

// maxBody bounds a body: the mapping, its receipts, and 2 KiB for the rest.
const maxBody = mapping.MaxSize + possession.MaxReceipts*possession.MaxReceipt + 2048

func (r *mappingRow) place() vault.Place {
	return vault.Place{Table: tableMappings, Label: r.label, ID: r.id[:]}
}

// columns encodes the columns that the body is bound to. All are of fixed length.
func (r *mappingRow) columns() []byte {
	b := append(make([]byte, 0, 48), r.digest[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.until))      //nolint:gosec // two's complement, one to one
	return binary.BigEndian.AppendUint64(b, uint64(r.expires)) //nolint:gosec // likewise
}

func (d *Directory) label(id csi.ID) vault.Label { return d.Vault.Label([]byte(id.Canonical())) }

// sealMapping makes the row of a mapping.
func (d *Directory) sealMapping(v mapping.Verified) (mappingRow, error) {
	s := directory.StoredOf(v)
	body, err := canon.Marshal(mappingBody{
		Mapping: s.Bundle.Mapping, Receipts: s.Bundle.Receipts, Holder: s.Holder, Lineage: s.Lineage,
		Sequence: s.Sequence, Providers: s.Providers, Audience: s.Audience,
	})
	if err != nil {
		return mappingRow{}, fmt.Errorf("sqlstore: %w", err)
	}
	r := mappingRow{
		id: s.ID, label: d.label(v.Claims().CSI), digest: s.Digest, until: sqldb.Milliseconds(s.Until), expires: sqldb.Milliseconds(s.Expires),
	}
	r.Sealed, err = d.Vault.Seal(r.place(), r.columns(), body)
	return r, err
}

// openMapping returns what a row says.
func (d *Directory) openMapping(r *mappingRow) (directory.Stored, error) {
	plain, err := d.Vault.Open(r.place(), r.columns(), r.Sealed)
	if err != nil {
		return directory.Stored{}, fmt.Errorf("mapping %s: %w", r.id, err)
	}
	var b mappingBody
	if err := canon.Unmarshal(plain, maxBody, &b); err != nil {
		return directory.Stored{}, fmt.Errorf("%w: mapping %s: %w", sealed.ErrCorrupt, r.id, err)
	}
	return directory.Stored{
		ID: r.id, Bundle: mapping.Bundle{Mapping: b.Mapping, Receipts: b.Receipts}, Digest: r.digest, Holder: b.Holder,
		Lineage: b.Lineage, Sequence: b.Sequence, Providers: b.Providers, Audience: b.Audience,
		Expires: sqldb.Time(r.expires), Until: sqldb.Time(r.until),
	}, nil
}

// mappingColumns are the columns that scanMapping takes, in its order.
const mappingColumns = "id, label, digest, until, expires, generation, key, body"

// scanMapping takes a row. Its slices are the row's own, so that it can be kept.
func scanMapping(rows sqldb.Row, r *mappingRow) error {
	var id, label, digest sql.RawBytes
	if err := rows.Scan(&id, &label, &digest, &r.until, &r.expires, &r.Generation, &r.Key, &r.Body); err != nil {
		return err
	}
	if len(id) != len(r.id) || len(label) != len(r.label) || len(digest) != len(r.digest) {
		return fmt.Errorf("%w: length of a column", sealed.ErrCorrupt)
	}
	copy(r.id[:], id)
	copy(r.label[:], label)
	copy(r.digest[:], digest)
	return nil
}
