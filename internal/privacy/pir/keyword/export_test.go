package keyword

import (
	"whither/internal/privacy/pir"
)

// Info is the encoding of a layout.
func Info(l *Layout) []byte { return l.info() }

// ColumnOf returns the column of a key in the main band.
func ColumnOf(p *pir.Params, k Key) int {
	l, err := ParseLayout(p)
	if err != nil {
		panic(err)
	}
	return l.columns(&k)[bandMain]
}

// BuilderOf lets tests play a server that changes cells.
func BuilderOf(t *Table) *pir.Builder { return t.builder }

// PlaceOf returns where the slot of a key is.
func PlaceOf(t *Table, k Key) (band, col, offset int) {
	at, err := t.look(&k)
	if err != nil || !at.found {
		panic("no such key")
	}
	return at.band, at.numbers[at.band], at.slot * t.layout.SlotSize
}

// Find tells whether a client would find the key.
func Find(t *Table, k Key) bool {
	at, err := t.look(&k)
	if err != nil {
		panic(err)
	}
	return at.found
}

// PutAtColumn puts a slot to the head of the column of a key.
func PutAtColumn(t *Table, k Key, slot []byte) error {
	return t.builder.Put(bandMain, t.layout.columns(&k)[bandMain], 0, slot)
}

// ColumnsUnder returns the columns of a key in both bands under a salt.
func ColumnsUnder(salt [saltSize]byte, columns [2]int, k Key) []int {
	l := &Layout{Shape: Shape{Columns: columns[0], StashColumns: columns[1]}, salt: salt}
	return l.columns(&k)
}
