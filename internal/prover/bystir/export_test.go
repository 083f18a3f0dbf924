package bystir

// Errors returns the errors of the table.
func Errors() []error {
	var out []error
	for _, row := range table {
		out = append(out, row.err)
	}
	return out
}

// Destination is a door for tests.
var Destination = destination
