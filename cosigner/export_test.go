package cosigner

// TableErrors returns the errors of the table, for the test that walks all
// sentinels.
func TableErrors() []error {
	var out []error
	for _, row := range table {
		out = append(out, row.err)
	}
	return out
}

// The handlers of notices.
var (
	HandleNotice = (*Cosigner).handleNotice
	HandleInbox  = (*Cosigner).handleInbox
)
