package server

// TableTexts returns the texts of the table's errors, for the test that walks
// all sentinels.
func TableTexts() []string {
	var out []string
	for _, row := range table {
		out = append(out, row.err.Error())
	}
	return out
}
