package sqlstore

import (
	"database/sql"
	"encoding/binary"
	"fmt"

	"whither/csi"
	"whither/internal/dp/directory"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/mapping"
)

// mappingRow is a row of the table mappings.
type mappingRow struct {
	id             mapping.ID
	label          vault.Label
	digest         mapping.Digest
	until, expires int64
	vault.Sealed
}

func (r *mappingRow) place() vault.Place {
	return vault.Place{Table: tableMappings, Label: r.label, ID: r.id[:]}
}

// columns encodes the columns that the body is bound to. All are of fixed length.
func (r *mappingRow) columns() []byte {
	b := append(make([]byte, 0, 48), r.digest[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.until))
	return binary.BigEndian.AppendUint64(b, uint64(r.expires))
}

func (d *Directory) label(id csi.ID) vault.Label { return d.Vault.Label([]byte(id.Canonical())) }

// sealMapping makes the row of a mapping.
func (d *Directory) sealMapping(v mapping.Verified) (mappingRow, error) {
	s := directory.StoredOf(v)
	return d.seal(d.label(v.Claims().CSI), s)
}

func (d *Directory) seal(label vault.Label, s directory.Stored) (mappingRow, error) {
	r := mappingRow{
		id: s.ID, label: label, digest: s.Digest, until: sqldb.Milliseconds(s.Until), expires: sqldb.Milliseconds(s.Expires),
	}
	body, err := appendBody(s)
	if err != nil {
		return mappingRow{}, err
	}
	r.Sealed, err = d.Vault.Seal(r.place(), r.columns(), body)
	return r, err
}

// mappingColumns are the columns that openMapping takes, in its order.
const mappingColumns = "id, label, digest, until, expires, generation, key, body"

// openMapping takes a row and opens it. With an error, the label and the id
// are those of the row as far as they could be read.
func (d *Directory) openMapping(row sqldb.Row) (vault.Label, directory.Stored, error) {
	var r mappingRow
	var s directory.Stored
	var id, label, digest, key, body sql.RawBytes
	if err := row.Scan(&id, &label, &digest, &r.until, &r.expires, &r.Generation, &key, &body); err != nil {
		return r.label, s, fmt.Errorf("%w: %w", sealed.ErrCorrupt, err)
	}
	if len(id) != len(r.id) || len(label) != len(r.label) || len(digest) != len(r.digest) {
		return r.label, s, fmt.Errorf("%w: length of a column", sealed.ErrCorrupt)
	}
	r.id, r.label, r.digest = mapping.ID(id), vault.Label(label), mapping.Digest(digest)
	r.Key, r.Body = key, body
	s = directory.Stored{ID: r.id, Digest: r.digest, Expires: sqldb.Time(r.expires), Until: sqldb.Time(r.until)}
	plain, err := d.Vault.Open(r.place(), r.columns(), r.Sealed)
	if err == nil {
		err = parseBody(plain, &s)
	}
	if err != nil {
		return r.label, s, fmt.Errorf("mapping %s: %w", r.id, err)
	}
	return r.label, s, nil
}
